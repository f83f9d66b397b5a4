"""What quantizing cannot be faster than on this machine: its disk, and ggml's kernels alone."""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeai.backends.llama_native import bindings
from quantize.ggml import TYPE_IDS, row_bytes
from quantize.pipeline import Options, open_model, plan_model

_PIECE_BYTES = 2**23
_CHUNKS_A_THREAD = 16  # so that no thread waits long for the last


class Limit(NamedTuple):
    """The least time for each kind of work, alone.

    Attributes:
        read_s: reading the checkpoint's weights.
        write_s: writing the artifact, until it is on the disk.
        kernels_s: encoding all tensors out of memory into memory.
    """

    read_s: float
    write_s: float
    kernels_s: float

    @property
    def in_turn_s(self) -> float:
        """One after the other."""
        return self.read_s + self.write_s + self.kernels_s

    @property
    def at_once_s(self) -> float:
        """All at the same time, which nothing can beat."""
        return max(self)


def read_seconds(files: Sequence[Path]) -> float:
    """Read files from start to end."""
    buffer = bytearray(_PIECE_BYTES)
    started = time.perf_counter()
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - started


def write_seconds(folder: Path, n_bytes: int) -> float:
    """Write a file of so many bytes and wait until the disk has it."""
    piece = np.random.default_rng(1).bytes(_PIECE_BYTES)
    path = folder / ".write-speed"
    started = time.perf_counter()
    try:
        with path.open("wb", buffering=0) as file:
            for start in range(0, n_bytes, _PIECE_BYTES):
                file.write(piece[: n_bytes - start])
            os.fsync(file.fileno())
        return time.perf_counter() - started
    finally:
        path.unlink(missing_ok=True)


def forget(files: Sequence[Path]) -> bool:
    """Take files out of the system's cache, so that the disk must read them again.

    Returns:
        Whether the system can do that.
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def kernel_seconds(source: Path, ftype: str, n_threads: int) -> float:
    """ggml_quantize_chunk of every tensor that is encoded, each in memory before the clock starts."""
    planned = plan_model(open_model(source), Options(ftype=ftype))
    seconds = 0.0
    with ThreadPoolExecutor(n_threads) as pool:
        for item in planned:
            if item.qtype == "F32":
                continue
            rows = item.tensor.read().reshape(-1, item.tensor.shape[-1])
            encoded = np.ones((rows.shape[0], row_bytes(item.qtype, rows.shape[1])), np.uint8)  # its pages are there
            started = time.perf_counter()
            for future in [pool.submit(*call) for call in _calls(rows, encoded, item.qtype, n_threads)]:
                future.result()
            seconds += time.perf_counter() - started
    return seconds


def _calls(rows: Any, encoded: Any, qtype: str, n_threads: int) -> Iterator[tuple[Any, ...]]:
    llama = bindings()
    encode: Any = llama.load_shared_library("ggml-base", Path(llama._base_path)).ggml_quantize_chunk
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    encode.argtypes = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    encode.restype = ctypes.c_size_t
    n_rows, n_cols = rows.shape
    n_chunks = min(n_rows, n_threads * _CHUNKS_A_THREAD)
    for start, stop in itertools.pairwise(n_rows * index // n_chunks for index in range(n_chunks + 1)):
        source, target = rows[start:].ctypes.data, encoded[start:].ctypes.data
        yield encode, TYPE_IDS[qtype], source, target, 0, stop - start, n_cols, None
