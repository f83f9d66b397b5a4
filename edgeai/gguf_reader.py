"""Reads the head of a GGUF file, whatever stands in it.

The file comes from outside. No count in it is believed: nothing is allocated by one, every read is checked against the
file's true size first, and what a loop may cost is bounded. What llama.cpp would refuse is refused here too, with a
message that says what is wrong.

Source of the format: docs/gguf.md of ggml-org/ggml; of the checks: ggml/src/gguf.cpp of ggml-org/llama.cpp.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from edgeai.errors import ModelFormatError
from edgeai.gguf_types import (
    ARRAY,
    SCALARS,
    STRING,
    TENSOR_TYPES,
    VALUE_TYPE_NAMES,
    ArrayInfo,
    TensorInfo,
)

# Far above what honest files have (hundreds of keys, thousands of tensors, a quarter of a million tokens and half a
# million merges in 16 MB), and low enough that a hostile one costs less than a second and some dozens of megabytes.
_MAX_HEADER_BYTES = 40 * 2**20
_MAX_KEYS = 2**11
_MAX_TENSORS = 2**16
_MAX_ARRAY = 2**24
_MAX_STRINGS = 2**21  # in all arrays together
_MAX_STRING_BYTES = 2**24
_MAX_TEXT_BYTES = 2**20  # longer texts stay in the file, as a whole tokenizer.json in some headers
_MAX_TEXTS_BYTES = 2**23  # of all that are decoded
_MAX_NAME_BYTES = 63
_MAX_ALIGNMENT = 2**20
_MAX_INT64 = 2**63 - 1

_SMALL_ARRAY = 512  # LLAMA_MAX_LAYERS: anything longer belongs to the vocabulary
_U32_ID = 4
_FIRST_READ_BYTES = 2**20
_DAMAGED = "the file is damaged or incomplete: download it again"

_PRINTABLE = re.compile(rb"[!-~]+")
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


class HeaderReader:
    """A cursor in the head of a file, of which only as much is read as is needed.

    Attributes:
        path: for messages.
        n_file_bytes: the file's size.
        value_types: names of the types of the values that have been read, by key.
        offset: the cursor, bytes from the file's start.
    """

    def __init__(self, file: BinaryIO, path: Path, n_file_bytes: int) -> None:
        self.path = path
        self.n_file_bytes = n_file_bytes
        self.offset = 0
        self.value_types: dict[str, str] = {}
        self._file = file
        self._data = b""
        self._n_strings = 0
        self._n_text_bytes = 0

    def fail(self, problem: str, advice: str = _DAMAGED) -> NoReturn:
        """Raise ModelFormatError for this file."""
        raise ModelFormatError(f"{self.path}: {problem}; {advice}")

    def need(self, end: int, what: str) -> None:
        """Have all bytes up to `end` in memory."""
        if end <= len(self._data):
            return
        if end > self.n_file_bytes:
            self.fail(f"the file ends at byte {self.n_file_bytes:,}, inside {what}")
        if end > _MAX_HEADER_BYTES:
            self.fail(f"{what} lies beyond the first {_MAX_HEADER_BYTES:,} bytes, where a header ends at the latest")
        wanted = min(max(end, _FIRST_READ_BYTES, 2 * len(self._data)), _MAX_HEADER_BYTES)
        self._data = b""  # and then all anew: together with the old bytes it would be twice the memory
        self._file.seek(0)
        self._data = self._file.read(wanted)
        if len(self._data) < end:
            self.fail(f"the file became shorter while {what} was read")

    def peek(self, n_bytes: int) -> bytes:
        """The file's first bytes, as many as there are."""
        self.need(min(n_bytes, self.n_file_bytes), "its start")
        return self._data[:n_bytes]

    def take(self, layout: struct.Struct, what: str) -> Any:
        """The next number."""
        self.need(self.offset + layout.size, what)
        (value,) = layout.unpack_from(self._data, self.offset)
        self.offset += layout.size
        return value

    def take_bytes(self, what: str, at_most: int = _MAX_STRING_BYTES) -> bytes:
        """The next string."""
        n_bytes = self.take(_U64, f"the length of {what}")
        if n_bytes > at_most:
            self.fail(f"{what} claims {n_bytes:,} bytes, expected at most {at_most:,}")
        start = self.offset
        self.need(start + n_bytes, what)
        self.offset += n_bytes
        return self._data[start : self.offset]

    def take_name(self, what: str, at_most: int) -> str:
        """The next string, which has to be printable ASCII: llama.cpp compares names up to the first NUL byte."""
        name = self.take_bytes(what, at_most)
        if not _PRINTABLE.fullmatch(name):
            self.fail(f"{what} is {name[:40]!r}, expected printable ASCII")
        return name.decode("ascii")

    def take_text(self, key: str) -> str | ArrayInfo:
        """The next string as text; what is not UTF-8 in it is replaced. A very long one stays in the file."""
        array = ArrayInfo("string", 1, self.offset)
        text = self.take_bytes(f"the value of {key!r}")
        return array if len(text) > _MAX_TEXT_BYTES else self._decoded(text, key)

    def texts(self, array: ArrayInfo, key: str) -> tuple[str, ...]:
        """The elements of a short array of strings that has been walked over before."""
        return tuple(self._decoded(text, key) for text in self.strings(array))

    def _decoded(self, text: bytes, key: str) -> str:
        self._n_text_bytes += len(text)
        if self._n_text_bytes > _MAX_TEXTS_BYTES:
            self.fail(f"with {key!r} there are more than {_MAX_TEXTS_BYTES:,} bytes of text, expected less")
        return text.decode("utf-8", "replace")

    def skip_strings(self, count: int, what: str) -> None:
        """Walk over an array of strings: in one tight loop, for there are hundreds of thousands of them."""
        self._n_strings += count
        if self._n_strings > _MAX_STRINGS:
            self.fail(f"with {what} there are {self._n_strings:,} strings, expected at most {_MAX_STRINGS:,}")
        if count * 8 > self.n_file_bytes - self.offset:
            self.fail(f"the file ends at byte {self.n_file_bytes:,}, inside {what} of {count:,} strings")
        unpack, data, offset = _U64.unpack_from, self._data, self.offset
        for _ in range(count):
            try:
                offset += 8 + unpack(data, offset)[0]
            except (struct.error, OverflowError):
                data = b""
                self.need(offset + 8, what)
                data = self._data
                offset += 8 + unpack(data, offset)[0]
        self.need(offset, what)
        self.offset = offset

    def strings(self, array: ArrayInfo) -> Iterator[bytes]:
        """The elements of an array that has been walked over before."""
        unpack, data, offset = _U64.unpack_from, self._data, array.offset
        for _ in range(array.count):
            start = offset + 8
            offset = start + unpack(data, offset)[0]
            yield data[start:offset]

    def numbers(self, array: ArrayInfo) -> tuple[Any, ...]:
        """The elements of an array that has been walked over before."""
        (layout,) = (layout for id_, layout in SCALARS.items() if VALUE_TYPE_NAMES[id_] == array.element_type)
        return struct.unpack_from(f"<{array.count}{layout.format[-1]}", self._data, array.offset)


def read_counts(reader: HeaderReader) -> tuple[int, int, int]:
    """Version, number of tensors, number of keys. The magic has been read before."""
    version = reader.take(_U32, "the version")
    if version & 0xFFFF == 0:
        reader.fail("the file was written for big-endian machines", "download the little-endian file")
    if version not in (2, 3):
        reader.fail(f"GGUF version {version}, expected 2 or 3", "convert the model again with a current converter")
    n_tensors, n_keys = reader.take(_U64, "the number of tensors"), reader.take(_U64, "the number of keys")
    if n_tensors > _MAX_TENSORS:
        reader.fail(f"the header claims {n_tensors:,} tensors, expected at most {_MAX_TENSORS:,}")
    if n_keys > _MAX_KEYS:
        reader.fail(f"the header claims {n_keys:,} keys, expected at most {_MAX_KEYS:,}")
    return version, n_tensors, n_keys


def read_metadata(reader: HeaderReader, n_keys: int) -> dict[str, Any]:
    """All keys; long arrays as ArrayInfo, short ones as tuples, text as str."""
    metadata: dict[str, Any] = {}
    for index in range(n_keys):
        key = reader.take_name(f"the name of key {index}", 2**16)
        if key in metadata:
            reader.fail(f"the key {key!r} stands there twice")
        type_id = reader.take(_U32, f"the type of {key!r}")
        if key == "general.alignment" and type_id != _U32_ID:  # some versions of llama.cpp abort on another
            reader.fail(f"{key!r} has the type {type_id}, expected {_U32_ID}")
        metadata[key] = _read_array(reader, key) if type_id == ARRAY else _read_value(reader, key, type_id)
        reader.value_types[key] = VALUE_TYPE_NAMES[type_id]
    return metadata


def _read_value(reader: HeaderReader, key: str, type_id: int) -> Any:
    what = f"the value of {key!r}"
    if type_id == STRING:
        return reader.take_text(key)
    if type_id not in SCALARS:
        reader.fail(f"{what} has the type {type_id}, expected 0 to 12")
    return reader.take(SCALARS[type_id], what)


def _read_array(reader: HeaderReader, key: str) -> ArrayInfo | tuple[Any, ...]:
    what = f"the array {key!r}"
    type_id, count = reader.take(_U32, what), reader.take(_U64, what)
    if type_id not in SCALARS and type_id != STRING:
        reader.fail(f"{what} has elements of the type {type_id}, expected 0 to 12 and no arrays")
    if count > _MAX_ARRAY:
        reader.fail(f"{what} claims {count:,} elements, expected at most {_MAX_ARRAY:,}")
    array = ArrayInfo(VALUE_TYPE_NAMES[type_id], count, reader.offset)
    stays = count > _SMALL_ARRAY or key.startswith("tokenizer.ggml.")
    if type_id == STRING:
        reader.skip_strings(count, what)
        return array if stays else reader.texts(array, key)
    reader.need(reader.offset + count * SCALARS[type_id].size, what)
    reader.offset += count * SCALARS[type_id].size
    return array if stays else reader.numbers(array)


def read_alignment(reader: HeaderReader, metadata: dict[str, Any]) -> int:
    """What tensor data is aligned to, bytes.

    llama.cpp maps the weights where they lie in the file, and its CPU buffers have to start at multiples of 32; it
    aborts the process when they do not.
    """
    alignment: int = metadata.get("general.alignment", 32)
    if not 32 <= alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
        reader.fail(f"general.alignment = {alignment}, expected a power of two from 32 to {_MAX_ALIGNMENT}")
    return alignment


def read_tensors(reader: HeaderReader, n_tensors: int, alignment: int) -> tuple[TensorInfo, ...]:
    """All tensors, in the file's order; their data follows without gaps, each piece padded to the alignment."""
    tensors: list[TensorInfo] = []
    names: set[str] = set()
    expected = 0
    for index in range(n_tensors):
        tensor = _read_tensor(reader, index)
        if tensor.name in names:
            reader.fail(f"the tensor {tensor.name!r} stands there twice")
        if tensor.offset != expected:
            reader.fail(f"the data of {tensor.name!r} starts at {tensor.offset:,}, expected {expected:,}")
        names.add(tensor.name)
        tensors.append(tensor)
        expected += _padded(tensor.n_bytes, alignment)
    start = _padded(reader.offset, alignment)
    for index, tensor in enumerate(tensors):
        end = start + tensor.offset + tensor.n_bytes
        if end > reader.n_file_bytes:
            reader.fail(f"the data of {tensor.name!r} ends at {end:,}, but the file at {reader.n_file_bytes:,}")
        tensors[index] = TensorInfo(tensor.name, tensor.shape, tensor.type, start + tensor.offset, tensor.n_bytes)
    return tuple(tensors)


def _read_tensor(reader: HeaderReader, index: int) -> TensorInfo:
    """One tensor, with its offset from the start of all data."""
    name = reader.take_name(f"the name of tensor {index}", _MAX_NAME_BYTES)
    what = f"the shape of {name!r}"
    n_dims = reader.take(_U32, what)
    if n_dims > 4:
        reader.fail(f"{name!r} has {n_dims:,} dimensions, expected at most 4")
    shape = tuple(reader.take(_U64, what) for _ in range(n_dims))
    if not all(1 <= length <= _MAX_INT64 for length in shape):
        reader.fail(f"{what} is {shape}, expected positive numbers")
    type_id = reader.take(_U32, f"the type of {name!r}")
    if type_id not in TENSOR_TYPES:
        reader.fail(f"{name!r} has the tensor type {type_id}", "convert or quantize the model again to a current type")
    kind = TENSOR_TYPES[type_id]
    row = shape[0] if shape else 1
    if row % kind.block_size:
        reader.fail(f"the rows of {name!r} have {row:,} elements, expected a multiple of {kind.block_size}")
    n_bytes = math.prod(shape) // kind.block_size * kind.block_bytes
    if n_bytes > reader.n_file_bytes:
        reader.fail(f"{name!r} of shape {shape} needs {n_bytes:,} bytes, but the file has {reader.n_file_bytes:,}")
    return TensorInfo(name, shape, kind.name, reader.take(_U64, f"the offset of {name!r}"), n_bytes)


def _padded(n_bytes: int, alignment: int) -> int:
    return -(-n_bytes // alignment) * alignment
