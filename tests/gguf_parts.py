"""A GGUF file taken apart into keys, values and tensors, which can be edited and written back.

Offsets, counts and lengths come out right whatever was edited, so that a change of meaning reaches the code behind the
parser. The reading is a parser of its own, so that edgeai's is not tested by itself.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
LAYOUTS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
ALIGNMENT = 32


@dataclass
class Key:
    """A key; `element_type` is that of an array's elements, and strings are bytes."""

    name: bytes
    type: int
    value: Any
    element_type: int = -1

    def written(self) -> bytes:
        head = _string(self.name) + struct.pack("<I", self.type)
        if self.type != ARRAY:
            return head + _packed(self.type, [self.value])
        head += struct.pack("<IQ", self.element_type, len(self.value))
        return head + _packed(self.element_type, self.value)


@dataclass
class Tensor:
    """A tensor; `data` is cut or filled up with zeros to what shape and type ask for."""

    name: bytes
    shape: list[int]
    type: int
    data: bytes = field(repr=False)

    @property
    def n_bytes(self) -> int:
        try:
            block, n_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(self.type)]
        except ValueError:
            return len(self.data)
        return int(math.prod(self.shape) // block * n_bytes)


@dataclass
class Parts:
    """A whole file.

    Attributes:
        keys: in the file's order.
        tensors: likewise.
        version: of the format.
    """

    keys: list[Key]
    tensors: list[Tensor]
    version: int = 3

    @classmethod
    def read(cls, path: Path) -> Parts:
        """Take a sound file apart."""
        return _Reader(path.read_bytes()).parts()

    def get(self, name: str) -> Any:
        """The value of a key, or None."""
        return next((key.value for key in self.keys if key.name == name.encode()), None)

    def drop(self, name: str) -> None:
        """Leave out a key."""
        self.keys = [key for key in self.keys if key.name != name.encode()]

    def add_tensor(self, name: str, shape: list[int]) -> None:
        """Another tensor, of zeros."""
        self.tensors.append(Tensor(name.encode(), shape, 0, b""))

    def set(self, name: str, type_id: int, value: Any, element_type: int = -1) -> None:
        """Change a key, or add it."""
        self.drop(name)
        self.keys.append(Key(name.encode(), type_id, value, element_type))

    def write(self, path: Path, at_most: int = 2**26) -> Path:
        """Write the file, no longer than `at_most` bytes; weights that are too long are left sparse or out."""
        head = b"GGUF" + struct.pack("<IQQ", self.version, len(self.tensors), len(self.keys))
        head += b"".join(key.written() for key in self.keys)
        offset = 0
        for tensor in self.tensors:
            head += _string(tensor.name) + struct.pack("<I", len(tensor.shape))
            head += b"".join(struct.pack("<Q", length % 2**64) for length in tensor.shape)
            head += struct.pack("<IQ", tensor.type % 2**32, offset % 2**64)
            offset += _padded(tensor.n_bytes)
        with path.open("wb") as file:
            file.write(head)
            start, offset = _padded(len(head)), 0
            for tensor in self.tensors:
                if start + offset < at_most:
                    file.seek(start + offset)
                    file.write(tensor.data[: max(0, min(tensor.n_bytes, at_most - start - offset))])
                offset += _padded(tensor.n_bytes)
            file.truncate(min(start + offset, at_most))
        return path


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4

    def parts(self) -> Parts:
        version, n_tensors, n_keys = self._take("I"), self._take("Q"), self._take("Q")
        keys = [self._key() for _ in range(n_keys)]
        heads = [self._tensor() for _ in range(n_tensors)]
        start = _padded(self._at)
        for tensor, offset in heads:
            tensor.data = self._data[start + offset : start + offset + tensor.n_bytes]
        return Parts(keys, [tensor for tensor, _ in heads], version)

    def _take(self, layout: str) -> Any:
        (value,) = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return value

    def _text(self) -> bytes:
        n_bytes = self._take("Q")
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at]

    def _value(self, type_id: int) -> Any:
        return self._text() if type_id == STRING else self._take(LAYOUTS[type_id])

    def _key(self) -> Key:
        name, type_id = self._text(), self._take("I")
        if type_id != ARRAY:
            return Key(name, type_id, self._value(type_id))
        element_type, count = self._take("I"), self._take("Q")
        return Key(name, ARRAY, [self._value(element_type) for _ in range(count)], element_type)

    def _tensor(self) -> tuple[Tensor, int]:
        name, n_dims = self._text(), self._take("I")
        shape = [self._take("Q") for _ in range(n_dims)]
        return Tensor(name, shape, self._take("I"), b""), self._take("Q")


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _packed(type_id: int, values: Any) -> bytes:
    if type_id == STRING:
        return b"".join(_string(value) for value in values)
    if type_id not in LAYOUTS:
        return b""
    layout = LAYOUTS[type_id]
    if layout in "fd":
        return struct.pack(f"<{len(values)}{layout}", *values)
    n_bits = 8 * struct.calcsize(layout)
    unsigned = layout.upper()
    return struct.pack(f"<{len(values)}{unsigned}", *(int(value) % (1 << n_bits) for value in values))


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
