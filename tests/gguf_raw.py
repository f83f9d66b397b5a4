"""Files of GGUF's pieces, whatever they say: what no writer of the format would write."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from tests.gguf_parts import ARRAY, STRING, U32
from tests.mutate import write_sparse

Write = Callable[[Path], object]


def text(value: bytes) -> bytes:
    """A string: of a key's name, or of a value."""
    return struct.pack("<Q", len(value)) + value


def number(name: bytes, value: int, type_id: int = U32) -> bytes:
    """A key with a number of four bytes."""
    return text(name) + struct.pack("<II", type_id, value)


def string_head(name: bytes, n_bytes: int) -> bytes:
    """A key with a text of so many bytes, up to the text."""
    return text(name) + struct.pack("<IQ", STRING, n_bytes)


def array_head(element_type: int, count: int, name: bytes = b"some.array") -> bytes:
    """A key with an array of so many elements, up to the elements."""
    return text(name) + struct.pack("<IIQ", ARRAY, element_type, count)


ARCHITECTURE = string_head(b"general.architecture", 5) + b"llama"


def file(n_tensors: int, n_keys: int, body: bytes = b"", size: int = 0) -> Write:
    """A file with these counts; `size` makes it longer, with zeros that take no space."""
    data = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_keys) + body
    return lambda path: write_sparse(path, data, max(size, len(data)))


def tensors(*shapes: tuple[int, ...], type_id: int = 0, key: bytes = b"") -> Write:
    """A file with tensors `t0`, `t1` … of these shapes, all of which claim to start where the data does."""
    body = ARCHITECTURE + key
    for index, shape in enumerate(shapes):
        body += text(b"t%d" % index) + struct.pack("<I", len(shape))
        body += b"".join(struct.pack("<Q", length) for length in shape) + struct.pack("<IQ", type_id, 0)
    return file(len(shapes), 2 if key else 1, body, 4096)
