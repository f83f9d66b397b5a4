"""A GGUF file as a source: its keys, and its tensors read when they are needed.

Tensors are read through a small buffer instead of a memory map: a file that becomes shorter meanwhile is an error and
not a SIGBUS.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeai.errors import CheckpointError, QuantizeError
from edgeai.gguf_header import GGUFHeader, read_header
from quantize.base import F32, Meta, Tensor
from quantize.ggml import Bytes, decode
from quantize.gguf_format import decode_metadata, tensor_bytes

_FLOAT_TYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class GGUFTensor(Tensor):
    """A tensor in a GGUF file; `dtype` is one of GGUF's types.

    Attributes:
        read_rows: its part from `start` to before `stop` along the first axis. float32 [stop - start, …]
        read_encoded: the same as it is stored. uint8 [n_rows, row_bytes]
    """

    read_rows: Callable[[int, int], F32]
    read_encoded: Callable[[int, int], Bytes]


def read_gguf(path: Path, *, allow_requantize: bool) -> tuple[list[Meta], list[Tensor]]:
    """The keys and tensors of a file.

    Raises:
        ModelFormatError: it is damaged, one of several parts, or llama.cpp would crash on it.
        QuantizeError: it is quantized already, and that is not allowed; or it changes meanwhile.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            header = read_header(path)
            _check(header, allow_requantize=allow_requantize)
            head = file.read(header.tensors[0].offset if header.tensors else header.n_file_bytes)
            # what was checked, by its name, must be what was read
            if not _is_same(path.stat(), status) or not _is_same(os.fstat(file.fileno()), status):
                raise QuantizeError(f"{path}: the file changed while it was opened; start again when it is whole")
    except OSError as exc:
        raise QuantizeError(f"{path}: cannot be read: {exc.strerror}; check its rights") from exc
    tensors: list[Tensor] = []
    for info in header.tensors:
        reader = _Reader(path, info.name, info.shape[::-1], info.type, info.offset, status)
        tensors.append(
            GGUFTensor(info.name, reader.shape, info.type, reader.read, reader.read_rows, reader.read_encoded)
        )
    return decode_metadata(head), tensors


def stored_type(tensor: Tensor) -> str:
    """The type in the GGUF that llama.cpp's quantizer would start from: a checkpoint comes to it as float32."""
    return tensor.dtype if isinstance(tensor, GGUFTensor) else "F32"


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two looks were at one file, and nothing was written to it between them."""
    return os.path.samestat(one, other) and (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _check(header: GGUFHeader, *, allow_requantize: bool) -> None:
    quantized = next((tensor for tensor in header.tensors if tensor.type not in _FLOAT_TYPES), None)
    if quantized is not None and not allow_requantize:
        raise QuantizeError(
            f"{header.path}: {quantized.name} is {quantized.type} already, and quantizing again loses more: "
            "take the original, or allow it with --allow-requantize"
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    offset: int
    status: os.stat_result

    def read(self) -> F32:
        """float32 [shape]"""
        n_items = self.shape[0] if self.shape else 1
        return self.read_rows(0, n_items).reshape(self.shape)

    def read_rows(self, start: int, stop: int) -> F32:
        rows = decode(self.read_encoded(start, stop), self.dtype, self.shape[-1] if self.shape else 1)
        return rows.reshape(stop - start, *self.shape[1:])

    def read_encoded(self, start: int, stop: int) -> Bytes:
        if len(self.shape) < 2:
            n_rows, first = 1, 0
            n_bytes = tensor_bytes(self.shape, self.dtype)
            if (start, stop) != (0, self.shape[0] if self.shape else 1):
                raise IndexError(f"{self.name!r} is one row, which is read as a whole")
        else:
            if not 0 <= start <= stop <= self.shape[0]:
                raise IndexError(f"rows {start} to {stop} of {self.name!r}, which has {self.shape[0]}")
            n_rows = (stop - start) * math.prod(self.shape[1:-1])
            n_in_item = tensor_bytes(self.shape[1:], self.dtype)
            first, n_bytes = start * n_in_item, (stop - start) * n_in_item
        return self._bytes(self.offset + first, n_bytes).reshape(n_rows, -1)

    def _bytes(self, offset: int, n_bytes: int) -> Bytes:
        try:
            data: Bytes = np.empty(n_bytes, np.uint8)
            with self.path.open("rb", buffering=0) as file:
                if not _is_same(os.fstat(file.fileno()), self.status):
                    raise self._fail("cannot be read any more: the file has changed since it was opened")
                file.seek(offset)
                rest = data.data
                while rest:
                    n_read = file.readinto(rest)
                    if not n_read:
                        raise self._fail("cannot be read: the file became shorter")
                    rest = rest[n_read:]
        except MemoryError as exc:
            raise self._fail(f"needs {n_bytes:,} bytes of memory, which are not free") from exc
        except OSError as exc:
            raise self._fail(f"cannot be read: {exc.strerror}") from exc
        return data

    def _fail(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: {self.name} {problem}; start again")
