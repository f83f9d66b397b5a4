"""Pictures of a chat, read from their files: by any thread, once while they are in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from edgeai.errors import PictureError
from edgeai.history_types import PictureRef
from edgeai.regular_file import opened
from edgeai.safe_text import one_line
from edgeai.vision.limits import MAX_FILE_BYTES
from edgeai.vision.picture import LoadedPicture, PictureReader

_KEPT_BYTES = 2**28
"""Pixels that stay in memory, so that the next question about a picture decodes nothing."""
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ReadPicture:
    """A picture and the file that it came from."""

    ref: PictureRef
    loaded: LoadedPicture


class PictureShelf:
    """Reads pictures in one sandboxed process, and keeps those that were read last."""

    def __init__(self) -> None:
        self._reader = PictureReader()
        self._kept: OrderedDict[tuple[str, str], ReadPicture] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, expected: str | None = None) -> ReadPicture:
        """A picture.

        Args:
            path: absolute.
            expected: the file's SHA-256, where it must be the one that it was.
        Raises:
            PictureError: it cannot be read, or has changed. One line that names the file.
        """
        digest = _digest(path)
        if expected not in (None, digest):
            raise PictureError(f"{one_line(str(path))}: it has changed since it was shown: show it again")
        key = (str(path), digest)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        loaded = self._reader.load(path)
        read = ReadPicture(PictureRef(str(path), digest, loaded.width, loaded.height), loaded)
        with self._lock:
            self._kept[key] = read
            while len(self._kept) > 1 and sum(map(_n_bytes, self._kept.values())) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return read

    def close(self) -> None:
        """End the process, and forget all pictures."""
        self._reader.close()
        with self._lock:
            self._kept.clear()


def _n_bytes(read: ReadPicture) -> int:
    return len(read.loaded.medium.data)


def _digest(path: Path) -> str:
    digest = sha256()
    try:
        with opened(path, "a picture", MAX_FILE_BYTES, PictureError) as (file, _):
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    except PictureError as exc:
        raise PictureError(f"{one_line(str(path))}: {exc}") from exc.__cause__
    return digest.hexdigest()
