"""Safetensors files for the tests, sound ones and others, and how the safetensors package reads them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

from edgeai.errors import CheckpointError
from quantize.base import F32
from quantize.safetensors import open_safetensors

NUMPY_TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def file_of(path: Path, header: Any, data: bytes = b"", *, n_header_bytes: int | None = None) -> Path:
    """A file with any header (an object, or bytes as they are) and any length before it."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if n_header_bytes is None else n_header_bytes) + raw + data)
    return path


def one(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def packed(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    """A sound file with these dtypes, shapes and bytes, with the padding that the safetensors package writes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    n = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [n, n := n + len(data)]}
    raw = json.dumps(header).encode()
    raw = raw.ljust(-(-len(raw) // 8) * 8)
    return struct.pack("<Q", len(raw)) + raw + b"".join(data for _, _, data in tensors.values())


def as_the_package_reads(raw: bytes) -> dict[str, Any]:
    """By name: dtype, shape, data. Raises SafetensorError where the package refuses the file."""
    return dict(safetensors.deserialize(raw))  # type: ignore[no-untyped-call]


def official_values(raw: bytes) -> dict[str, F32]:
    """What the safetensors package reads, as float32."""
    found = {}
    for name, entry in as_the_package_reads(raw).items():
        data, dtype, shape = bytes(entry["data"]), entry["dtype"], entry["shape"]
        if dtype == "BF16":
            pairs = np.frombuffer(data, np.uint8).reshape(-1, 2)
            padded = np.concatenate([np.zeros_like(pairs), pairs], axis=1)
            found[name] = np.frombuffer(padded.tobytes(), np.float32).reshape(shape)
        else:
            found[name] = np.frombuffer(data, NUMPY_TYPES[dtype]).astype(np.float32).reshape(shape)
    return found


def refused(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        open_safetensors(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message
