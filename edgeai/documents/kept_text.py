"""What was read of documents, kept for the next time: a PDF of some hundred pages is read for seconds.

    states/texts/KEY     the content of one file, behind its checksum; its owner's alone, as the states are

The key is the file's content, what its name lets expect, and the reader's version. What stands there was checked when
it came out of the reading process; where anything is in doubt the file is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeai.errors import OptionError
from edgeai.files import write_bytes
from edgeai.kv_store.room import limit_bytes, remove, states_dir

if TYPE_CHECKING:
    from edgeai.documents.reading.process import Content

_FOLDER = "texts"
_SHARE = 1 / 16
"""Of what all states may take: a text takes a ten-thousandth of its state."""
_MAX_BYTES = 2**26
_DIGEST_BYTES = 32


def text_key(*facts: str) -> str:
    """The name under which a content is kept."""
    return hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()[:32]


def kept_text(key: str) -> Content | None:
    """What was read, as of the last time; None where it is not kept, or damaged."""
    from edgeai.documents.reading.process import Content

    path = states_dir() / _FOLDER / key
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        digest, packed = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if len(data) > _MAX_BYTES or hashlib.sha256(packed).digest() != digest:
            remove(path)
            return None
        content = msgspec.msgpack.decode(packed, type=Content)
        os.utime(path)
    except (OSError, ValueError, RecursionError):
        return None
    return content


def keep_text(key: str, content: Content) -> None:
    """Keep it where there is room; what was not used for longest makes room. It is never an error."""
    packed = msgspec.msgpack.encode(content)
    root = states_dir()
    folder = root / _FOLDER
    with contextlib.suppress(OSError, OptionError):
        room = min(int(limit_bytes(root) * _SHARE), 2**30)
        if len(packed) + _DIGEST_BYTES > min(room, _MAX_BYTES):
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _shrink(folder, room - len(packed) - _DIGEST_BYTES)
        write_bytes(folder / key, hashlib.sha256(packed).digest() + packed)


def _shrink(folder: Path, n_bytes: int) -> None:
    found = sorted(((path.stat(), path) for path in folder.iterdir()), key=lambda item: item[0].st_mtime)
    held = sum(status.st_size for status, _ in found)
    for status, path in found:
        if held <= n_bytes:
            return
        remove(path)
        held -= status.st_size
