"""What is known of a kept state without opening it: a small file beside it, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeai.files import sync_dir, write_bytes

MEDIUM_MARK = b"\xff" * 4
"""Before the tokens that stand for a medium, where its file holds what a projector made of it: -1, with which no prompt
begins, so that it is never taken for a state."""
_MAX_META_BYTES = 2**26


class Meta(msgspec.Struct, frozen=True):
    """What a state is of.

    Attributes:
        tokens: int32, little-endian; of a medium, after MEDIUM_MARK.
        sha256: of the state's file, see `state_digest`.
        n_bytes: its size.
        model: the model's name, for lists; hostile text.
        is_conversation: it is all that stood evaluated, and goes where a longer one of the same beginning comes.
    """

    tokens: bytes
    sha256: str
    n_bytes: int
    model: str = ""
    is_conversation: bool = False


def read_meta(path: Path) -> Meta | None:
    """What stands in a file; None where that is not what we write, or there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_META_BYTES + 1)
        meta = msgspec.msgpack.decode(data, type=Meta)
    except (OSError, ValueError, RecursionError):
        return None
    return meta if len(data) <= _MAX_META_BYTES and len(meta.tokens) % 4 == 0 and meta.tokens else None


def write_meta(path: Path, meta: Meta) -> None:
    """Write it durably, for its owner alone.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    write_bytes(path, msgspec.msgpack.encode(meta))
    sync_dir(path.parent)
