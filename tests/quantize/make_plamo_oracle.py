"""What the official converter makes of the PLaMo checkpoints of `plamo_memory`: oracle/plamo_memory.json.

Keys and tensors stand there in the converter's order. Run by hand, from the repository's root, in an environment with
torch and transformers:

    python -m tests.quantize.make_plamo_oracle PATH/TO/convert_hf_to_gguf.py
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFValueType, ReaderField

from tests.quantize.plamo_memory import CASES, MemoryCheckpoint, checkpoint, tokenizer_files
from tests.quantize.tiny_weights import Dtype, encode

ORACLE = Path(__file__).parent / "oracle" / "plamo_memory.json"


def main() -> None:
    """Convert every case and write the oracle."""
    result = {name: _converted(Path(sys.argv[1]), name) for name in CASES}
    ORACLE.write_text(json.dumps(result, indent=0) + "\n", encoding="utf-8")


def _converted(converter: Path, name: str) -> dict[str, Any]:
    config, dtype, changes = CASES[name]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        _save(folder, checkpoint(config, dtype, **changes), dtype)
        tokenizer_files(folder)
        # PLaMo's own class brings a SentencePiece model, which is no part of this oracle
        vocabulary = ["-c", _WITHOUT_VOCABULARY, str(converter)] if name == "plamo-13b" else [str(converter)]
        gguf = folder / "model.gguf"
        command = [sys.executable, *vocabulary, str(folder), "--outtype", "f32", "--outfile", str(gguf)]
        subprocess.run(command, check=True, cwd=converter.parent)
        return _described(gguf)


_WITHOUT_VOCABULARY = """
import runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, ".")
from conversion import base
base.TextModel._set_vocab_sentencepiece = lambda self: None
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _save(folder: Path, memory: MemoryCheckpoint, dtype: Dtype) -> None:
    (folder / "config.json").write_text(json.dumps(memory.config), encoding="utf-8")
    size, offset, header = {"bf16": 2, "f16": 2, "f32": 4}[dtype], 0, {}
    for tensor in memory.tensors.values():
        end = offset + size * tensor.n_elements
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in memory.tensors.values():
            file.write(encode(tensor.read(), dtype))


def _described(path: Path) -> dict[str, Any]:
    reader = GGUFReader(path)
    fields = {name: _field(field) for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    tensors = {}
    for tensor in reader.tensors:
        values = np.asarray(tensor.data)
        what: dict[str, Any] = {"shape": list(values.shape), "f32_sha256": hashlib.sha256(values.tobytes()).hexdigest()}
        if tensor.name.endswith("ssm_a"):  # hangs on PyTorch's exponential, which is not the same everywhere
            what = {"shape": list(values.shape), "values": values.tolist()}
        tensors[tensor.name] = what
    return {"metadata": fields, "tensors": tensors}


def _field(field: ReaderField) -> list[Any]:
    kinds = [GGUFValueType(kind).name for kind in field.types[:2]]
    return [kinds, shortened(field.contents())]


def shortened(value: Any) -> Any:
    """The value, or the SHA-256 of a long list's JSON."""
    if not isinstance(value, list) or len(value) <= 16:
        return value
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()


if __name__ == "__main__":
    main()
