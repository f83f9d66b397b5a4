"""The models that perplexities are compared on, made anew wherever they are needed: byte by byte the same ones."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeai.backends.llama_native import bindings
from tests.tiny import Kind, tiny_model

FTYPES: Mapping[str, int] = {"F16": 1, "Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15}
"""Numbers of llama_ftype in llama.h."""

CASES: Mapping[str, dict[str, Any]] = {
    "tiny-llama": {"kind": "llama", "ftype": "Q8_0", "n_ctx": 128, "n_chunks": 4},
    "tiny-llama-bos": {"kind": "llama", "ftype": "Q4_0", "n_ctx": 256, "n_chunks": 2, "add_bos": True},
    "tiny-gemma3": {"kind": "gemma3", "ftype": "Q8_0", "n_ctx": 256, "n_chunks": 2},
    "tiny-plamo2": {"kind": "plamo2", "ftype": "Q8_0", "n_ctx": 128, "n_chunks": 3},
    "tiny-mamba": {"kind": "mamba", "ftype": "F16", "n_ctx": 128, "n_chunks": 3},
    "smollm2-Q8_0": {"ftype": "Q8_0", "n_ctx": 256, "n_chunks": 2},
    "smollm2-Q4_K_M": {"ftype": "Q4_K_M", "n_ctx": 256, "n_chunks": 2},
}
"""What is compared. A case without `kind` is on the default model."""


def tiny_reference(path: Path, kind: Kind, *, add_bos: bool = False) -> Path:
    """A tiny model; with `add_bos` one that wants BOS in front."""
    tiny_model(path, kind)
    if add_bos:
        key = b"tokenizer.ggml.add_bos_token" + (7).to_bytes(4, "little")
        data = path.read_bytes()
        assert data.count(key + b"\0") == 1
        path.write_bytes(data.replace(key + b"\0", key + b"\1"))
    return path


def quantized(source: Path, target: Path, ftype: str) -> Path:
    """A file as llama.cpp's own quantizer makes it."""
    llama_cpp = bindings()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FTYPES[ftype]
    params.allow_requantize = True
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    assert status == 0
    return target
