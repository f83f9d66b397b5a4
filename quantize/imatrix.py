"""Importance matrices: how large the inputs of each weight matrix usually are, so that quantizing spares what matters.

    imatrix = read_imatrix("model.imatrix.gguf")
    weights = imatrix.importance()["blk.0.ffn_up.weight"]

The files are those of llama.cpp's own llama-imatrix: GGUF, and the older .dat. `quantize.collect` makes them.

Source: tools/imatrix/imatrix.cpp, common/imatrix-loader.cpp and tools/quantize/quantize.cpp of ggml-org/llama.cpp.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NoReturn, TypeGuard

import numpy as np
from gguf import GGUFValueType, GGUFWriter
from numpy.typing import NDArray

from edgeai.errors import ModelFormatError, QuantizeError
from edgeai.gguf_reader import HeaderReader, read_alignment, read_counts, read_metadata, read_tensors
from edgeai.gguf_types import TensorInfo
from quantize.base import F32, Meta
from quantize.writer import move, work_dir

I64 = NDArray[np.int64]

_SUMS, _COUNTS = ".in_sum2", ".counts"
_MAX_KEY_TEXT = 127  # bytes of text that llama.cpp's overrides of metadata keep
_MAX_ENTRIES = 1_000_000
_MAX_NAME_BYTES = 1024
_I32 = struct.Struct("<i")


@dataclass(frozen=True, slots=True)
class Entry:
    """What was collected for one weight matrix, or for a stack of them, one an expert.

    Attributes:
        sums: squared inputs, summed up. float32 [n_counts * n_inputs]
        counts: over how many inputs, for each expert; one number for a plain matrix. [n_counts]
    """

    sums: F32
    counts: I64

    def importance(self) -> F32:
        """The mean square of every input; 1 for an expert that no token went to. float32 [n_counts * n_inputs]"""
        sums = self.sums.reshape(len(self.counts), -1)
        counts = self.counts.astype(np.float32)[:, None]
        means: F32 = np.divide(sums, counts, out=np.ones_like(sums), where=counts > 0)
        return means.ravel()


@dataclass(frozen=True, slots=True)
class Imatrix:
    """An importance matrix.

    Attributes:
        entries: by the weight's name in the GGUF.
        datasets: the names of the texts it was collected on; hostile where it was read from a file.
        n_chunks: windows evaluated.
        chunk_size: tokens of a window; 0 where the file does not tell (.dat).
    """

    entries: Mapping[str, Entry]
    datasets: tuple[str, ...]
    n_chunks: int
    chunk_size: int

    def importance(self) -> dict[str, F32]:
        """The mean square of every input of each matrix, as quantizing takes it. float32 [n_experts * n_inputs]"""
        return {name: entry.importance() for name, entry in self.entries.items()}

    def metadata(self, file_name: str) -> list[Meta]:
        """The keys that llama-quantize adds to a file that was quantized with this one.

        Args:
            file_name: of the importance matrix.
        """
        text = GGUFValueType.STRING
        keys = [Meta("quantize.imatrix.file", _shortened(file_name), text)]
        if self.datasets:
            keys.append(Meta("quantize.imatrix.dataset", _shortened(self.datasets[0]), text))
        keys.append(Meta("quantize.imatrix.entries_count", len(self.entries), GGUFValueType.UINT32))
        if self.n_chunks > 0:
            keys.append(Meta("quantize.imatrix.chunks_count", self.n_chunks, GGUFValueType.UINT32))
        return keys


def _shortened(text: str) -> str:
    return text.encode("utf-8", "replace")[:_MAX_KEY_TEXT].decode("utf-8", "ignore")


def read_imatrix(path: str | os.PathLike[str]) -> Imatrix:
    """Read an importance matrix, GGUF or .dat.

    Raises:
        QuantizeError: no such file, or it is damaged or something else.
    """
    path = Path(path)
    try:
        n_file_bytes = path.stat().st_size
        with path.open("rb") as file:
            if file.read(4) == b"GGUF":
                return _read_gguf(file, path, n_file_bytes)
            return _DatReader(file, path, n_file_bytes).read()
    except OSError as exc:
        raise QuantizeError(f"{path}: the importance matrix cannot be read: {exc.strerror}") from exc
    except ModelFormatError as exc:
        raise QuantizeError(str(exc)) from exc


def _fail(path: Path, problem: str) -> NoReturn:
    raise QuantizeError(f"{path}: {problem}; expected an importance matrix as llama-imatrix or --calibrate writes it")


def _read_gguf(file: BinaryIO, path: Path, n_file_bytes: int) -> Imatrix:
    reader = HeaderReader(file, path, n_file_bytes)
    reader.offset = 4
    _version, n_tensors, n_keys = read_counts(reader)
    metadata = read_metadata(reader, n_keys)
    tensors = {tensor.name: tensor for tensor in read_tensors(reader, n_tensors, read_alignment(reader, metadata))}
    datasets, n_chunks, chunk_size = (
        metadata.get(f"imatrix.{key}") for key in ("datasets", "chunk_count", "chunk_size")
    )
    if not _is_u32(n_chunks) or not _is_u32(chunk_size) or datasets is None:
        _fail(path, "a GGUF file without the keys imatrix.datasets, .chunk_count and .chunk_size of 32 bits")
    names = sorted(
        {name.removesuffix(suffix) for name in tensors for suffix in (_SUMS, _COUNTS) if name.endswith(suffix)}
    )
    entries = {}
    for name in names:
        sums, counts = (_values(file, path, tensors.get(name + suffix), name + suffix) for suffix in (_SUMS, _COUNTS))
        if not np.isfinite(counts).all() or np.abs(counts).max() > 2**53:
            _fail(path, f"{name + _COUNTS} is not a count")
        entries[name] = _entry(path, name, sums, np.rint(counts).astype(np.int64))
    return _checked(path, Imatrix(entries, _texts(datasets), n_chunks, chunk_size))


def _is_u32(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < 2**32


def _texts(datasets: object) -> tuple[str, ...]:
    return tuple(map(str, datasets)) if isinstance(datasets, tuple) else ()


def _values(file: BinaryIO, path: Path, tensor: TensorInfo | None, name: str) -> F32:
    if tensor is None:
        _fail(path, f"the tensor {name} is missing")
    if tensor.type != "F32":
        _fail(path, f"{name} is {tensor.type}, not F32")
    file.seek(tensor.offset)
    data = file.read(tensor.n_bytes)
    if len(data) < tensor.n_bytes:
        _fail(path, f"the file ends inside {name}")
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def _entry(path: Path, name: str, sums: F32, counts: I64) -> Entry:
    if not len(counts) or len(sums) % len(counts) or not len(sums):
        _fail(path, f"{name} has {len(sums):,} sums for {len(counts):,} counts")
    if not np.isfinite(sums).all() or (sums < 0).any():
        _fail(path, f"{name} has sums of squares that are negative, infinite or no numbers")
    return Entry(sums, counts)


def _checked(path: Path, imatrix: Imatrix) -> Imatrix:
    if not imatrix.entries:
        _fail(path, "the file has no matrices")
    return Imatrix(MappingProxyType(dict(imatrix.entries)), imatrix.datasets, imatrix.n_chunks, imatrix.chunk_size)


class _DatReader:
    """The format of 2024: entries of name, calls, values (means times calls), then calls and the text's name."""

    def __init__(self, file: BinaryIO, path: Path, n_file_bytes: int) -> None:
        self._file, self._path, self._left = file, path, n_file_bytes
        file.seek(0)

    def read(self) -> Imatrix:
        n_entries = self._number("the number of entries", 1, _MAX_ENTRIES)
        entries: dict[str, Entry] = {}
        for index in range(n_entries):
            what = f"entry {index + 1} of {n_entries:,}"
            n_name_bytes = self._number(f"the length of the name of {what}", 1, _MAX_NAME_BYTES)
            name = self._bytes(n_name_bytes, f"the name of {what}").decode("utf-8", "replace").split("\0")[0]
            n_calls = self._number(f"the calls of {what}", -(2**31), 2**31 - 1)
            n_values = self._number(f"the size of {what}", 1, 2**31 - 1)
            values = np.frombuffer(self._bytes(4 * n_values, f"the values of {what}"), dtype="<f4").astype(np.float32)
            entries[name] = _entry(self._path, name, values, np.array([max(n_calls, 1)]))
        n_chunks, dataset = 0, ""
        if self._left >= _I32.size:
            n_chunks = self._number("the number of chunks", -(2**31), 2**31 - 1)
        if self._left >= _I32.size:
            n_bytes = self._number("the length of the text's name", -(2**31), 2**31 - 1)
            dataset = self._bytes(max(n_bytes, 0), "the text's name").decode("utf-8", "replace")
        return _checked(self._path, Imatrix(entries, (dataset,) if dataset else (), n_chunks, 0))

    def _number(self, what: str, low: int, high: int) -> int:
        (value,) = _I32.unpack(self._bytes(_I32.size, what))
        if not low <= value <= high:
            _fail(self._path, f"{what} is {value:,}")
        return int(value)

    def _bytes(self, n_bytes: int, what: str) -> bytes:
        if n_bytes > self._left:
            _fail(self._path, f"the file ends inside {what}")
        data = self._file.read(n_bytes)
        if len(data) < n_bytes:
            _fail(self._path, f"the file became shorter while {what} was read")
        self._left -= n_bytes
        return data


def write_imatrix(imatrix: Imatrix, path: str | os.PathLike[str]) -> None:
    """Write an importance matrix as llama-imatrix does: GGUF, whole or not at all.

    Args:
        imatrix: what to write.
        path: replaced if it exists; its folder is made where it is not there.
    Raises:
        QuantizeError: it cannot be written there.
    """
    path = Path(path)
    with work_dir(path.parent) as work:
        made = work / "imatrix.gguf"
        try:
            _write_gguf(imatrix, made)
        except OSError as exc:
            raise QuantizeError(f"{path}: the importance matrix cannot be written: {exc.strerror}") from exc
        move(made, path, replace=True)


def _write_gguf(imatrix: Imatrix, path: Path) -> None:
    writer = GGUFWriter(path, "imatrix")
    writer.kv_data[0].clear()  # it is no model: there is no general.architecture
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", list(imatrix.datasets) or ["unknown"])
    writer.add_uint32("imatrix.chunk_count", max(imatrix.n_chunks, 0))
    writer.add_uint32("imatrix.chunk_size", imatrix.chunk_size)
    for name, entry in sorted(imatrix.entries.items()):
        n_counts = len(entry.counts)
        shape: Sequence[int] = (n_counts, -1) if n_counts > 1 else (-1,)
        writer.add_tensor(name + _SUMS, entry.sums.reshape(shape))
        writer.add_tensor(name + _COUNTS, entry.counts.astype(np.float32).reshape(shape))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        for file in writer.fout or ():
            file.flush()
            os.fsync(file.fileno())
    finally:
        writer.close()
