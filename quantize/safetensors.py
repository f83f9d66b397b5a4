"""One safetensors file: its tensors, each read when it is asked for, as float32.

    with_names = open_safetensors(path)
    with_names["model.norm.weight"].read()

A tensor is read through a small buffer instead of a memory map: a file that becomes shorter meanwhile is an error
and not a SIGBUS, and what has been read does not stay in this process's memory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeai.errors import CheckpointError
from quantize.base import F32, Tensor
from quantize.safetensors_header import DAMAGED, Entry, read_header

_STORED_AS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "BOOL": "<u1",
    **{f"{kind}{8 * n}": f"<{kind.lower()}{n}" for kind in "UI" for n in (1, 2, 4, 8)},
}
_BUFFER_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class StoredTensor(Tensor):
    """A tensor in a file.

    Attributes:
        read_rows: its rows from `start` to before `stop`, along the first axis. float32 [stop - start, …]
    """

    read_rows: Callable[[int, int], F32]


def open_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Check a file and list its tensors, sorted by name. None is read yet.

    Args:
        path: a .safetensors file.
    Returns:
        The tensors by name. Their `read` and `read_rows` raise CheckpointError where the file has changed since, where
        memory runs out, and for types of 8 bits and less whose numbers mean nothing without their scales.
    Raises:
        CheckpointError: it cannot be read, is no safetensors file, or is damaged, incomplete or lying.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            raise CheckpointError(f"{str(path)!r}: not a regular file, expected a .safetensors file")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            entries = read_header(file, path, status.st_size)
    except OSError as exc:
        raise CheckpointError(f"{str(path)!r}: cannot be read: {exc.strerror}; check the path and its rights") from exc
    return {name: _tensor(path, name, entry, status) for name, entry in entries.items()}


def _tensor(path: Path, name: str, entry: Entry, status: os.stat_result) -> StoredTensor:
    reader = _Reader(path, name, entry, status)
    return StoredTensor(name, entry.shape, entry.dtype, reader.read, reader.read_rows)


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    name: str
    entry: Entry
    status: os.stat_result

    def read(self) -> F32:
        shape = self.entry.shape
        return self._floats(0, int(np.prod(shape, dtype=np.int64))).reshape(shape)

    def read_rows(self, start: int, stop: int) -> F32:
        n_rows, *rest = self.entry.shape or (0,)
        if not 0 <= start <= stop <= n_rows:
            raise IndexError(f"rows {start} to {stop} of {self.name!r}, which has {n_rows}")
        n_in_row = int(np.prod(rest, dtype=np.int64))
        return self._floats(start * n_in_row, (stop - start) * n_in_row).reshape(stop - start, *rest)

    def _fail(self, problem: str, advice: str = DAMAGED) -> CheckpointError:
        return CheckpointError(f"{str(self.path)!r}: {self.name!r} {problem}; {advice}")

    def _floats(self, first: int, count: int) -> F32:
        """So many numbers from the one at `first` on. float32 [count]"""
        dtype = self.entry.dtype
        if dtype not in _STORED_AS:
            raise self._fail(
                f"has dtype {dtype}, expected one of {', '.join(_STORED_AS)}",
                "its numbers need scales to mean something: use the checkpoint that it was quantized from",
            )
        try:
            values = np.empty(count, np.float32)
            with self.path.open("rb", buffering=0) as file:
                self._copy(file, first, values)
        except MemoryError as exc:
            raise self._fail(f"needs {4 * count:,} bytes of memory", "they are not free: close other programs") from exc
        except OSError as exc:
            raise self._fail(f"cannot be read: {exc.strerror}", "start again") from exc
        return values

    def _copy(self, file: FileIO, first: int, values: F32) -> None:
        stored = np.dtype(_STORED_AS[self.entry.dtype])
        now, before = os.fstat(file.fileno()), self.status
        if not os.path.samestat(now, before) or (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise self._fail("cannot be read any more: the file has changed since it was opened", "start again")
        file.seek(self.entry.start + first * stored.itemsize)
        buffer = np.empty(min(values.size, _BUFFER_BYTES // stored.itemsize), stored)
        for start in range(0, values.size, max(buffer.size, 1)):
            piece = values[start : start + buffer.size]
            self._fill(file, buffer[: piece.size].view(np.uint8).data)
            _widen(buffer[: piece.size], piece, is_bf16=self.entry.dtype == "BF16")

    def _fill(self, file: FileIO, buffer: memoryview) -> None:
        while buffer:
            n_read = file.readinto(buffer)
            if not n_read:
                raise self._fail("cannot be read: the file became shorter")
            buffer = buffer[n_read:]


def _widen(stored: NDArray[Any], values: F32, *, is_bf16: bool) -> None:
    """Write the numbers as float32 into `values`. A bfloat16 is the upper half of a float32."""
    if is_bf16:
        np.left_shift(stored, 16, out=values.view(np.uint32), dtype=np.uint32)
        return
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, and is found as such
        values[...] = stored
