"""ggml's own kernels, called through ctypes in the library that llama-cpp-python ships.

    encode(rows, "Q4_K")           # float32 rows → the bytes of a tensor in a GGUF
    decode(data, "Q4_K", n_cols)   # and back

They are the code that llama.cpp's own quantizer runs, so what they write is what it would have written. ctypes lets
go of Python's lock for the length of a call, so that several threads encode at once.
"""

from __future__ import annotations

import ctypes
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeai.backends.llama_native import bindings
from edgeai.errors import ModelError, QuantizeError
from edgeai.gguf_types import TENSOR_TYPES, TensorType
from quantize.base import F32

Bytes = NDArray[np.uint8]

TYPE_IDS = {tensor_type.name: id_ for id_, tensor_type in TENSOR_TYPES.items()}
"""ggml's number of each tensor type."""

_NOT_ENCODED = ("Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64")
ENCODED_TYPES = tuple(name for name in TYPE_IDS if name not in _NOT_ENCODED)
"""The types that ggml_quantize_chunk writes; it ends the process when it is asked for another."""

_F16_OVERFLOW = 65520.0  # the first number that rounds to infinity
# These kernels look points up in a grid, and end the process when the sums of squares by which they search overflow.
# The limits leave them room: they hold (256 × 8 × limit)² within float32.
_GRID_TYPES = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")
_GRID_LIMIT = 1e6
_WEIGHTED_GRID_LIMIT = 1e12
_TO_FLOAT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


class NotFiniteError(ValueError):
    """Rows hold NaN or infinity."""


class OutOfRangeError(ValueError):
    """Rows hold numbers that are too large for a type."""


class _TypeTraits(ctypes.Structure):
    """struct ggml_type_traits of ggml.h."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", _TO_FLOAT),
        ("from_float_ref", ctypes.c_void_p),
    )


def tensor_type(qtype: str) -> TensorType:
    """How a type stores its elements."""
    return TENSOR_TYPES[TYPE_IDS[qtype]]


def row_bytes(qtype: str, n_cols: int) -> int:
    """Bytes of a row of `n_cols` elements, a multiple of the type's block."""
    kind = tensor_type(qtype)
    return n_cols // kind.block_size * kind.block_bytes


def needs_imatrix(qtype: str) -> bool:
    """Whether the type cannot be encoded without an importance matrix."""
    return bool(_library().ggml_quantize_requires_imatrix(TYPE_IDS[qtype]))


def encode(rows: F32, qtype: str, imatrix: F32 | None = None, *, check: bool = True) -> Bytes:
    """Encode rows as ggml_quantize_chunk does.

    Args:
        rows: float32 [n_rows, n_cols], contiguous.
        qtype: one of ENCODED_TYPES; n_cols is a multiple of its block.
        imatrix: importance of each column, finite and not negative. float32 [n_cols]
        check: refuse rows that are not finite, or that the type cannot hold.
    Returns:
        uint8 [n_rows, row_bytes].
    Raises:
        NotFiniteError: NaN or infinity in the rows.
        OutOfRangeError: numbers that the type cannot hold, or that its kernel cannot be given.
    """
    _check_call(rows, qtype, imatrix)
    n_rows, n_cols = rows.shape
    encoded: Bytes = np.empty((n_rows, row_bytes(qtype, n_cols)), np.uint8)
    if not encoded.size:
        return encoded
    if check or qtype in _GRID_TYPES:
        heaviest = 1.0 if imatrix is None else max(float(imatrix.max()), 1.0)
        _check_numbers(rows, qtype, heaviest)
    weights = None if imatrix is None else imatrix.ctypes.data
    library, target = _library(), encoded.ctypes.data
    n_bytes = library.ggml_quantize_chunk(TYPE_IDS[qtype], rows.ctypes.data, target, 0, n_rows, n_cols, weights)
    if check and not library.ggml_validate_row_data(TYPE_IDS[qtype], target, n_bytes):
        raise OutOfRangeError(f"its numbers are beyond what {qtype} can hold")
    return encoded


def decode(data: Bytes, qtype: str, n_cols: int) -> F32:
    """What encoded rows stand for.

    Args:
        data: uint8 [n_rows, row_bytes], contiguous.
        qtype: one of ENCODED_TYPES.
        n_cols: elements of a row.
    Returns:
        float32 [n_rows, n_cols].
    """
    is_whole = qtype in ENCODED_TYPES and n_cols % tensor_type(qtype).block_size == 0
    if data.ndim != 2 or not is_whole or data.shape[1] != row_bytes(qtype, n_cols) or not data.flags.c_contiguous:
        raise ValueError(f"{data.shape} bytes are not rows of {n_cols} elements of {qtype}")
    if qtype == "F32":
        return data.view(np.float32)
    rows: F32 = np.empty((data.shape[0], n_cols), np.float32)
    to_float = _library().ggml_get_type_traits(TYPE_IDS[qtype]).contents.to_float
    to_float(data.ctypes.data, rows.ctypes.data, rows.size)
    return rows


def is_valid(data: Bytes, qtype: str) -> bool:
    """Whether encoded rows stand for finite numbers, as ggml_validate_row_data sees it."""
    return bool(_library().ggml_validate_row_data(TYPE_IDS[qtype], data.ctypes.data, data.nbytes))


def _check_call(rows: F32, qtype: str, imatrix: F32 | None) -> None:
    """Refuse what would make ggml read beyond the rows or end the process."""
    n_cols = rows.shape[-1]
    is_whole = qtype in ENCODED_TYPES and n_cols % tensor_type(qtype).block_size == 0
    if rows.ndim != 2 or rows.dtype != np.float32 or not rows.flags.c_contiguous or not is_whole:
        raise ValueError(
            f"{rows.dtype} {rows.shape} cannot be {qtype}: expected contiguous float32 rows of whole blocks"
        )
    if imatrix is None:
        if needs_imatrix(qtype):
            raise ValueError(f"{qtype} cannot be encoded without an importance matrix")
        return
    if imatrix.dtype != np.float32 or imatrix.shape != (n_cols,) or not imatrix.flags.c_contiguous:
        raise ValueError(f"the imatrix is {imatrix.dtype} {imatrix.shape}, expected contiguous float32 [{n_cols}]")
    if not (np.isfinite(imatrix) & (imatrix >= 0)).all():
        raise ValueError("the imatrix holds numbers that are negative or not finite")


def _check_numbers(rows: F32, qtype: str, heaviest: float) -> None:
    """`heaviest`: the imatrix's largest number."""
    low, high = float(rows.min()), float(rows.max())  # NaN where there is any NaN
    if not math.isfinite(low) or not math.isfinite(high):
        raise NotFiniteError("it holds NaN or infinity")
    largest = max(-low, high)
    limit = {"F16": _F16_OVERFLOW}.get(qtype, math.inf)
    if qtype in _GRID_TYPES:
        limit = min(_GRID_LIMIT, _WEIGHTED_GRID_LIMIT / heaviest)
    if largest >= limit:
        raise OutOfRangeError(f"it holds {low if -low > high else high:g}, {qtype} takes less than {limit:g}")


@functools.cache
def _library() -> Any:
    """libggml-base, the one that libllama uses.

    Raises:
        QuantizeError: llama-cpp-python is missing or its library lacks the kernels.
    """
    try:
        llama = bindings()
        library: Any = llama.load_shared_library("ggml-base", Path(llama._base_path))
        pointer, count = ctypes.c_void_p, ctypes.c_int64
        library.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
        library.ggml_quantize_chunk.restype = ctypes.c_size_t
        library.ggml_quantize_requires_imatrix.argtypes = [ctypes.c_int]
        library.ggml_quantize_requires_imatrix.restype = ctypes.c_bool
        library.ggml_validate_row_data.argtypes = [ctypes.c_int, pointer, ctypes.c_size_t]
        library.ggml_validate_row_data.restype = ctypes.c_bool
        library.ggml_get_type_traits.argtypes = [ctypes.c_int]
        library.ggml_get_type_traits.restype = ctypes.POINTER(_TypeTraits)
    except (ModelError, OSError, RuntimeError, AttributeError) as exc:
        raise QuantizeError(
            f"ggml's kernels cannot be loaded ({exc}): install llama-cpp-python again, version 0.3.36 or later"
        ) from exc
    return library
