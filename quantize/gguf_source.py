"""A GGUF file of a float type as a source: its keys, and its tensors read when they are needed."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFValueType

from edgeai.errors import QuantizeError
from edgeai.gguf_header import read_header
from quantize.base import F32, Meta, Tensor
from quantize.ggml import decode

_FLOAT_TYPES = ("F32", "F16", "BF16")


def read_gguf(path: Path, *, allow_requantize: bool) -> tuple[list[Meta], list[Tensor]]:
    """The keys and tensors of a file.

    Raises:
        ModelFormatError: it is damaged, or llama.cpp would crash on it.
        QuantizeError: it is quantized already, and that is not allowed.
    """
    header = read_header(path)  # before a reader that believes what stands in the file
    quantized = next((tensor for tensor in header.tensors if tensor.type not in _FLOAT_TYPES), None)
    if quantized is not None and not allow_requantize:
        raise QuantizeError(
            f"{path}: {quantized.name} is {quantized.type} already, and quantizing again loses more: "
            "take the original, or allow it with --allow-requantize"
        )
    reader = GGUFReader(path)
    metadata = [_meta(name, field) for name, field in reader.fields.items() if not name.startswith("GGUF.")]
    tensors = [
        Tensor(
            tensor.name,
            tuple(reversed([int(size) for size in tensor.shape])),
            tensor.tensor_type.name,
            functools.partial(_read, tensor),
        )
        for tensor in reader.tensors
    ]
    return metadata, tensors


def _meta(name: str, field: Any) -> Meta:
    kinds = list(field.types)
    item_type = kinds[-1] if kinds[0] is GGUFValueType.ARRAY else None
    return Meta(name, field.contents(), kinds[0], item_type)


def _read(tensor: Any) -> F32:
    """float32 [shape]"""
    shape = tuple(reversed([int(size) for size in tensor.shape]))
    n_cols = shape[-1] if shape else 1
    data = np.ascontiguousarray(tensor.data).view(np.uint8).reshape(max(tensor.n_elements // n_cols, 1), -1)
    return decode(data, tensor.tensor_type.name, n_cols).reshape(shape)
