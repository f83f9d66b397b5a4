"""Writes `oracle/configs.json`: the keys and extra tensors that the official converter makes of real config.json files.

Run by hand, from the repository's root, in the environment of `make_oracle`:

    python -m tests.quantize.make_config_oracle --converter vendor/llama.cpp/convert_hf_to_gguf.py

Every folder has a config.json, as few tensors as the converter needs, and no tokenizer.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.quantize.families.real_configs import REAL_CONFIGS
from tests.quantize.families.real_vision_configs import REAL_PREPROCESSORS, REAL_VISION_CONFIGS
from tests.quantize.oracles import ORACLE, recorded
from tests.quantize.tiny_weights import norm, write_shards


def main() -> None:
    """Ask the converter about each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--converter", type=Path, required=True)
    sys.path.insert(0, str(parser.parse_args().converter.resolve().parent))
    sys.path.insert(1, str(parser.parse_args().converter.resolve().parent / "gguf-py"))
    result = {}
    for name, config in REAL_CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text(json.dumps(config))
            write_shards(Path(folder), {"model.norm.weight": norm(8)}, "f32", 0, 1)
            result[name] = _official(Path(folder))
    for name, config in REAL_VISION_CONFIGS.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text(json.dumps(config))
            (Path(folder) / "preprocessor_config.json").write_text(json.dumps(REAL_PREPROCESSORS[name]))
            write_shards(Path(folder), {"model.norm.weight": norm(8)}, "f32", 0, 1)
            result[name] = _official(Path(folder)) | {"projector": _official(Path(folder), "MMPROJ")["metadata"]}
    lines = json.dumps(result, separators=(",", ":")).replace('},"', '},\n"')
    (ORACLE / "configs.json").write_text(lines + "\n", encoding="utf-8")


def _official(folder: Path, kind: str = "TEXT") -> dict[str, Any]:
    conversion: Any = importlib.import_module("conversion")
    gguf: Any = importlib.import_module("gguf")
    hparams = conversion.ModelBase.load_hparams(folder, False)
    name = conversion.get_model_architecture(hparams, conversion.ModelType[kind])
    with_class = conversion.get_model_class(name, mmproj=kind == "MMPROJ")
    converter = with_class(folder, gguf.LlamaFileType.ALL_F32, folder / "out.gguf", hparams=hparams)
    tensors = {key: [float(value) for value in values] for key, values in converter.generate_extra_tensors()}
    converter.set_gguf_parameters()
    keys = {
        key: recorded(entry.type.name, _as_stored(entry.type.name, entry.value), _item_type(entry))
        for key, entry in converter.gguf_writer.kv_data[0].items()
        if key not in ("general.architecture", "general.file_type")
    }
    return {"metadata": keys, "tensors": tensors}


def _item_type(entry: Any) -> str | None:
    """Of an array's elements, as the writer would tell it from the first."""
    gguf: Any = importlib.import_module("gguf")
    of_array = entry.type == gguf.GGUFValueType.ARRAY
    return str(gguf.GGUFValueType.get_type(entry.value[0]).name) if of_array else None


def _as_stored(type_name: str, value: Any) -> Any:
    numpy: Any = importlib.import_module("numpy")
    return float(numpy.float32(value)) if type_name == "FLOAT32" else value


if __name__ == "__main__":
    main()
