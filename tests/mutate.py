"""Damaged GGUF files, made from a sound one with a fixed seed.

`Header.mutations`: a field of a header (a count, a length, a type, an offset, a value) is overwritten with what
programs tend to stumble over. The weights behind the header are left out: the file is made as long as it was, but
sparse, so that a hundred megabytes cost two.

`mutation`: the same with the weights, and also damage to the weights and to what the header means
(tests/mutate_parts.py); each by its number, so that a campaign can be stopped and taken up again at any.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from tests.gguf_parts import Parts
from tests.mutate_parts import change_parts

MAX_FILE_BYTES = 2**26
_SPECIAL_FLOATS = (0x7FC00000, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x00000001, 0x80000000, 0)
FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class Field:
    """Where something stands in a header; `layout` is a struct format, or "" for text of `size` bytes."""

    kind: str
    name: str
    offset: int
    size: int
    layout: str = ""


class Header:
    """A sound header, taken apart by a reader of its own, so that edgeai's is not tested by itself."""

    def __init__(self, path: Path) -> None:
        self.n_file_bytes = path.stat().st_size
        with path.open("rb") as file:
            self._data = file.read(32 * 2**20)
        self._at = 4
        self.fields: list[Field] = []
        self._number("version", "", "I")
        n_tensors = self._number("n_tensors", "", "Q")
        n_keys = self._number("n_keys", "", "Q")
        for _ in range(n_keys):
            self._key()
        for _ in range(n_tensors):
            self._tensor()
        self.data = self._data[: self._at]

    def _number(self, kind: str, name: str, layout: str) -> int:
        size = struct.calcsize("<" + layout)
        self.fields.append(Field(kind, name, self._at, size, layout))
        (value,) = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += size
        return int(value) if layout not in "fd" or abs(value) < 1e30 else 0

    def _text(self, kind: str, name: str) -> str:
        n_bytes = self._number(kind + "_length", name, "Q")
        self.fields.append(Field(kind, name, self._at, n_bytes))
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at].decode("utf-8", "replace")

    def _key(self) -> None:
        key = self._text("key", "")
        type_id = self._number("type", key, "I")
        if type_id == STRING:
            self._text("text", key)
        elif type_id != ARRAY:
            self._number("value", key, FORMATS[type_id])
        else:
            element_type = self._number("array_type", key, "I")
            for _ in range(self._number("array_count", key, "Q")):
                if element_type == STRING:
                    self._text("array_text", key)
                else:
                    self._number("array_value", key, FORMATS[element_type])

    def _tensor(self) -> None:
        name = self._text("tensor_name", "")
        for _ in range(self._number("n_dims", name, "I")):
            self._number("dim", name, "Q")
        self._number("tensor_type", name, "I")
        self._number("tensor_offset", name, "Q")

    def mutations(self, seed: int, count: int) -> Iterator[tuple[str, bytes, int]]:
        """Damaged headers: what was done, the header, the file's size. Kinds of fields come equally often."""
        rng = random.Random(seed)
        by_kind: dict[str, list[Field]] = {}
        for field in self.fields:
            by_kind.setdefault(field.kind, []).append(field)
        kinds = sorted(by_kind) + ["value"] * 8 + ["cut", "bits", "retype", "retype", "retype"]
        for _ in range(count):
            kind = rng.choice(kinds)
            if kind == "cut":
                size = rng.choice([rng.randrange(len(self.data)), rng.randrange(self.n_file_bytes)])
                yield f"cut to {size}", self.data[:size], size
            elif kind == "bits":
                yield self._flip(rng)
            elif kind == "retype":
                yield self._retype(rng)
            else:
                yield self._overwrite(rng, rng.choice(by_kind[kind]), by_kind[kind])

    def _flip(self, rng: random.Random) -> tuple[str, bytes, int]:
        data = bytearray(self.data)
        places = [rng.randrange(len(data)) for _ in range(rng.choice([1, 4, 64]))]
        for place in places:
            data[place] ^= 1 << rng.randrange(8)
        return f"bits of {places[:4]}", bytes(data), self.n_file_bytes

    def _retype(self, rng: random.Random) -> tuple[str, bytes, int]:
        """Another type or another length of a tensor, with all offsets made right for it."""
        data = bytearray(self.data)
        field = rng.choice([field for field in self.fields if field.kind in ("tensor_type", "dim")])
        old = self.data[field.offset : field.offset + field.size]
        new = rng.choice(list(GGML_QUANT_SIZES)).to_bytes(4, "little")
        if field.kind == "dim":
            new = _other_number(rng, "Q", old)
        data[field.offset : field.offset + field.size] = new
        return f"{field.kind} {field.name} {old!r} -> {new!r}, offsets right", bytes(data), self._place_tensors(data)

    def _place_tensors(self, data: bytearray) -> int:
        """Write every tensor's offset anew; returns the size that the file should have, at most a terabyte."""
        offset, n_elements, block = 0, 1, (1, 1)
        for field in self.fields:
            if field.kind == "n_dims":
                n_elements = 1
            elif field.kind == "dim":
                length = int.from_bytes(data[field.offset : field.offset + 8], "little")
                n_elements *= length
            elif field.kind == "tensor_type":
                type_id = int.from_bytes(data[field.offset : field.offset + 4], "little")
                block = GGML_QUANT_SIZES[GGMLQuantizationType(type_id)]
            elif field.kind == "tensor_offset":
                data[field.offset : field.offset + 8] = (offset % 2**64).to_bytes(8, "little")
                offset += -(-(n_elements // block[0] * block[1]) // 32) * 32
        return min(-(-len(data) // 32) * 32 + offset, 2**40)

    def _overwrite(self, rng: random.Random, field: Field, same_kind: list[Field]) -> tuple[str, bytes, int]:
        data = bytearray(self.data)
        old = self.data[field.offset : field.offset + field.size]
        if field.layout:
            new = _other_number(rng, field.layout, old)
        elif rng.random() < 0.5:
            other = rng.choice([other for other in same_kind if other.size == field.size])
            new = self.data[other.offset : other.offset + other.size]
        else:
            new = bytes(rng.choice([0, 10, 32, 37, 120, 255]) if rng.random() < 0.3 else byte for byte in old)
        data[field.offset : field.offset + field.size] = new
        return f"{field.kind} {field.name} {old[:40]!r} -> {new[:40]!r}", bytes(data), self.n_file_bytes


def _other_number(rng: random.Random, layout: str, old: bytes) -> bytes:
    if layout in "fd":
        return struct.pack("<" + layout, rng.choice([0.0, -1.0, 1e-38, 3e38, float("nan"), float("inf"), 0.5, 1e9]))
    n_bits = 8 * len(old)
    value = int.from_bytes(old, "little")
    interesting: list[int] = [
        0,
        1,
        2,
        3,
        7,
        64,
        2**31 - 1,
        2**31,
        2**32 - 1,
        (1 << n_bits - 1) - 1,
        1 << n_bits - 1,
        (1 << n_bits) - 1,
    ]
    interesting += [
        value + 1,
        value - 1,
        value * 2,
        value // 2,
        value + 32,
        value * 3,
        value ^ 1 << rng.randrange(n_bits),
    ]
    return (rng.choice(interesting) % (1 << n_bits)).to_bytes(len(old), "little")


def write_sparse(path: Path, data: bytes, n_file_bytes: int) -> Path:
    """A file that starts with `data` and is all zeros up to `n_file_bytes`, which take no space."""
    with path.open("wb") as file:
        file.write(data)
        file.truncate(n_file_bytes)
    return path


def mutation(path: Path, seed: int, index: int, out: Path) -> str:
    """Write one damaged copy of a sound file: the same for the same file, seed and index, whatever was made before.

    Args:
        path: a sound file of some megabytes.
        seed: of the whole campaign.
        index: which of its mutations.
        out: the file to write, at most 64 MB of it.
    Returns:
        What was done.
    """
    rng = random.Random(f"{seed}/{index}")
    header, parts, data = _sound(path, path.stat().st_mtime_ns)
    kind = rng.choices(["parts", "header", "weights", "numbers"], [50, 30, 10, 10])[0]
    if kind == "parts":
        changed, what = change_parts(parts, rng)
        changed.write(out, MAX_FILE_BYTES)
        return f"parts: {what}"
    if kind == "header":
        what, head, n_file_bytes = next(header.mutations(rng.randrange(2**32), 1))
        whole = head + data[len(head) :] if len(head) == len(header.data) else head
        write_sparse(out, whole[:n_file_bytes], min(n_file_bytes, MAX_FILE_BYTES))
        return f"header: {what}"
    changed_data, n_changes = bytearray(data), rng.choice([1, 8, 64, 1024])
    for _ in range(n_changes):
        place = rng.randrange(len(header.data), len(data))
        if kind == "weights":
            changed_data[place] ^= 1 << rng.randrange(8)
        else:
            place -= place % 4
            changed_data[place : place + 4] = struct.pack("<I", rng.choice(_SPECIAL_FLOATS))
    out.write_bytes(changed_data)
    return f"{kind}: {n_changes} changes behind the header"


@lru_cache(maxsize=32)
def _sound(path: Path, _changed: int) -> tuple[Header, Parts, bytes]:
    return Header(path), Parts.read(path), path.read_bytes()
