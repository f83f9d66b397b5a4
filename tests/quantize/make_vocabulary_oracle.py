"""Writes `oracle/vocabulary_edges.json`: what the official converter makes of the tokenizer files of `vocab.edges`,
and `oracle/pre_tokenizers.json`: the text it knows pre-tokenizers by, and their hashes.

Run by hand, from the repository's root, in an environment with torch, transformers and sentencepiece, with the
converter out of llama-cpp-python's own source distribution:

    python -m tests.quantize.make_vocabulary_oracle --converter vendor/llama.cpp

As in `make_oracle`, the name of the split is put into its mouth, for it knows real vocabularies alone.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
import logging
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.quantize.oracles import recorded
from tests.quantize.tokenizer_parts import PRE_TOKENIZER_NAME
from tests.quantize.vocab.edges import ARCHITECTURES, EDGES, ORACLE


def main() -> None:
    """Make all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--converter", type=Path, required=True)
    converter = parser.parse_args().converter.resolve()
    sys.path[:0] = [str(converter), str(converter / "gguf-py")]
    logging.disable()
    warnings.simplefilter("ignore")
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, edge in EDGES.items():
            edge.write(Path(temporary) / name)
            pre = PRE_TOKENIZER_NAME.get(edge.style, "")
            results[name] = official_keys(Path(temporary) / name, ARCHITECTURES[edge.arch], pre)
    lines = json.dumps(results, ensure_ascii=False, separators=(",", ":")).replace("},", "},\n")
    ORACLE.write_text(lines + "\n", encoding="utf-8")
    known = json.dumps(official_pre_tokenizers(), ensure_ascii=False, indent=0)
    ORACLE.with_name("pre_tokenizers.json").write_text(known + "\n", encoding="utf-8")


def official_keys(folder: Path, architecture: str, pre: str) -> dict[str, Any]:
    """The vocabulary's keys, in the converter's order, each as `recorded` gives it.

    Args:
        folder: tokenizer files and config.json.
        architecture: of config.json.
        pre: the pre-tokenizer's name.
    """
    conversion: Any = importlib.import_module("conversion")
    base: Any = importlib.import_module("conversion.base")
    gguf: Any = importlib.import_module("gguf")
    kind = conversion.get_model_class(architecture)
    model = kind.__new__(kind)  # without tensors, which its constructor reads
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model.dir_model, model.hparams = folder, config | config.get("text_config", {})
    model.hf_arch = model.origin_hf_arch = architecture
    model.gguf_writer = gguf.GGUFWriter(None, "llama")
    with patch.object(base.TextModel, "get_vocab_base_pre", lambda *_: pre):
        model.set_vocab()
    keys = {}
    for key, entry in model.gguf_writer.kv_data[0].items():
        if key.startswith("tokenizer."):
            value, item = entry.value, None
            if entry.type.name == "ARRAY":
                value = [part.decode() if isinstance(part, bytes) else part for part in value]
                item = (entry.sub_type or gguf.GGUFValueType.get_type(value[0])).name
            keys[key] = recorded(entry.type.name, value, item)
    return keys


def official_pre_tokenizers() -> dict[str, Any]:
    """The text whose tokens the converter hashes, and the names by hash."""
    base: Any = importlib.import_module("conversion.base")
    source = inspect.getsource(base.TextModel.get_vocab_base_pre)
    text = re.search(r"chktxt = (.*)", source)
    assert text
    names = re.findall(r'chkhsh == "(\w+)":\s+(?:#.*\s+)*res = "(.+?)"', source)
    return {"text": ast.literal_eval(text[1]), "names": dict(names)}


if __name__ == "__main__":
    main()
