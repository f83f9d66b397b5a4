"""Reads the header of a safetensors file, whatever stands in it.

A file is an 8-byte length, a header of so many bytes in JSON, and the tensors' bytes, without gaps:

    {"__metadata__": {…}, "model.norm.weight": {"dtype": "BF16", "shape": [576], "data_offsets": [0, 1152]}, …}

The file comes from outside. No number in it is believed: each is compared with the file's true size before anything is
read or allocated by it. The JSON is decoded entry by entry, for a header of 100 MB that is decoded at once can become
gigabytes of objects.

Source of the format: README.md of huggingface/safetensors; of the checks: `Metadata::validate` in its tensor.rs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from edgeai.errors import CheckpointError

BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
}
"""Bits of one number of each dtype that the format knows."""

DAMAGED = "the file is damaged or incomplete: download it again"

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_MAX_TENSORS = 2**18
_MAX_NAME_BYTES = 2**12
_MAX_ENTRY_BYTES = 2**12
_MAX_METADATA_BYTES = 2**20
_MAX_AXES = 32  # numpy 1.x has no more
_MAX_ELEMENTS = 2**48  # 64 bits of each are still far from an overflow

_SPACES = re.compile(rb"[ \t\r\n]*")
_LOOKS_LIKE = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file it points to: run `git lfs pull` in its folder"),
    (b"PK\x03\x04", "a PyTorch checkpoint or another zip archive: save the model as safetensors"),
    (b"\x80", "a Python pickle, which runs code when it is loaded: save the model as safetensors"),
    (b"GGUF", "a GGUF file: give that file itself, not a folder with it"),
    (b"<", "a web page, probably an error message: download the file again"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a header says of a tensor; `start` and `stop` are bytes from the file's beginning."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def read_header(file: BinaryIO, path: Path, n_file_bytes: int) -> dict[str, Entry]:
    """The tensors of a safetensors file, sorted by name as the safetensors library has them.

    Raises:
        CheckpointError: not a safetensors file, damaged, incomplete, or one that lies about its tensors.
    """
    reader = _Reader(path)
    data_start, header = reader.header(file, n_file_bytes)
    entries: dict[str, Entry] = {}
    for name, value in reader.items(header):
        if name in entries:
            reader.fail(f"the tensor {name!r} is there twice")
        if len(entries) == _MAX_TENSORS:
            reader.fail(f"there are more than {_MAX_TENSORS:,} tensors, expected fewer")
        entries[name] = reader.entry(name, value, data_start, n_file_bytes)
    reader.check_gaps(entries, data_start, n_file_bytes)
    return dict(sorted(entries.items()))


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def fail(self, problem: str, advice: str = DAMAGED) -> NoReturn:
        raise CheckpointError(f"{str(self._path)!r}: {problem}; {advice}")

    def header(self, file: BinaryIO, n_file_bytes: int) -> tuple[int, bytes]:
        """Where the tensors' bytes begin, and the header's JSON."""
        head = file.read(32)
        for start, what in _LOOKS_LIKE:
            # A first byte alone can be that of a length; then "{" follows the length.
            if head.startswith(start) and (len(start) > 1 or head[8:9] != b"{"):
                self.fail("not a safetensors file", f"it is {what}")
        n_bytes = int.from_bytes(head[:8], "little")
        if len(head) < 8:
            self.fail(f"{len(head)} bytes, expected a length of 8 bytes and a header")
        if n_bytes > min(_MAX_HEADER_BYTES, n_file_bytes - 8):
            self.fail(
                f"the header claims {n_bytes:,} bytes, expected at most {_MAX_HEADER_BYTES:,} and no more than "
                f"the file's {n_file_bytes:,}"
            )
        file.seek(8)
        header = file.read(n_bytes)
        if len(header) < n_bytes:
            self.fail("the file became shorter while it was read")
        return 8 + n_bytes, header

    def items(self, header: bytes) -> Iterator[tuple[str, Any]]:
        """The names and values of the header's object, but for `__metadata__`, of which nothing is needed."""
        offset = self._mark(header, 0, b"{", "the header's beginning")
        while True:
            name, offset = self._value(header, offset, _MAX_NAME_BYTES, "a tensor's name")
            if not isinstance(name, str) or not name or not name.isprintable():
                self.fail(f"a tensor's name is {str(name)[:60]!r}, expected printable text")
            what = f"the entry of {name!r}"
            offset = self._mark(header, offset, b":", what)
            limit = _MAX_METADATA_BYTES if name == "__metadata__" else _MAX_ENTRY_BYTES
            value, offset = self._value(header, offset, limit, what)
            if name != "__metadata__":
                yield name, value
            offset = self._mark(header, offset, b",}", f"the end of {what}")
            if header[offset - 1 : offset] == b"}":
                break
        if header[offset:].strip(b" \t\r\n"):
            self.fail(f"the header goes on after its end at byte {8 + offset:,}")

    def _mark(self, header: bytes, offset: int, marks: bytes, what: str) -> int:
        """Step over one of these characters and the space around it."""
        offset = _skip_spaces(header, offset)
        found = header[offset : offset + 1]
        if not found or found not in marks:
            self.fail(f"{what} (byte {8 + offset:,}) is {found!r}, expected one of {marks.decode()}")
        return _skip_spaces(header, offset + 1) if found != b"}" else offset + 1

    def _value(self, header: bytes, offset: int, limit: int, what: str) -> tuple[Any, int]:
        """The JSON value at `offset`, which is no longer than `limit`, and where it ends."""
        piece = header[offset : offset + limit]
        try:
            # As Latin-1 a byte is a character, so that the end is found in bytes; then it is read as what it is.
            _, n_bytes = _DECODER.raw_decode(piece.decode("latin-1"))
            return _DECODER.decode(piece[:n_bytes].decode()), offset + n_bytes
        except (ValueError, RecursionError) as exc:
            self.fail(f"{what} (byte {8 + offset:,}) is not JSON of at most {limit:,} bytes ({_first_line(exc)})")

    def entry(self, name: str, value: Any, data_start: int, n_file_bytes: int) -> Entry:
        """Check what the header says of one tensor."""
        if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
            self.fail(f"the entry of {name!r} is {str(value)[:60]!r}, expected dtype, shape and data_offsets")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(dtype, str) or dtype not in BITS:
            self.fail(f"{name!r} has dtype {str(dtype)[:20]!r}, expected one of {', '.join(BITS)}")
        if not _are_counts(shape) or len(shape) > _MAX_AXES:
            self.fail(f"{name!r} has shape {str(shape)[:60]}, expected at most {_MAX_AXES} whole numbers")
        if not _are_counts(offsets) or len(offsets) != 2:
            self.fail(f"{name!r} has data_offsets {str(offsets)[:60]}, expected two whole numbers")
        begin, end = offsets
        if not begin <= end <= n_file_bytes - data_start:
            self.fail(
                f"{name!r} has data_offsets {str(offsets)[:60]}, expected an end after the beginning and no more than "
                f"the {n_file_bytes - data_start:,} bytes of data that the file has"
            )
        n_bits = self._n_elements(name, shape) * BITS[dtype]
        if n_bits != 8 * (end - begin):
            self.fail(f"{name!r}, {dtype} {shape}, has {end - begin:,} bytes, expected {n_bits / 8:,.17g}")
        return Entry(dtype, tuple(shape), data_start + begin, data_start + end)

    def _n_elements(self, name: str, shape: list[int]) -> int:
        """Their number, bounded also where an axis has none: numpy multiplies the others all the same."""
        n_elements = 1
        for n in shape:
            n_elements *= max(n, 1)
            if n_elements > _MAX_ELEMENTS:
                self.fail(f"{name!r} has shape {str(shape)[:60]}, expected at most {_MAX_ELEMENTS:,} numbers")
        return 0 if 0 in shape else n_elements

    def check_gaps(self, entries: dict[str, Entry], data_start: int, n_file_bytes: int) -> None:
        """See that every byte belongs to one tensor: what overlaps, or hides between them, is no honest file."""
        before, expected = "the header", data_start
        ends = ((entry.start, entry.stop, repr(name)) for name, entry in entries.items())
        for start, stop, name in chain(sorted(ends), [(n_file_bytes, 0, "the file's end")]):
            if start != expected:
                what = "overlaps" if start < expected else f"lies {start - expected:,} bytes after the end of"
                self.fail(f"{name} {what} {before}, expected all bytes to belong to one tensor")
            before, expected = name, stop


def _skip_spaces(header: bytes, offset: int) -> int:
    match = _SPACES.match(header, offset)
    return match.end() if match else offset


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**63 for n in values)


def _first_line(exc: Exception) -> str:
    return str(exc).split("\n")[0][:80]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
