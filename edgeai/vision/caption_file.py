"""A file of captions: one line of JSON a picture, each durable once it is written, so that a killed job goes on there.

The names of the keys `file_name` and `text` are those that Hugging Face's `datasets` reads beside a folder of pictures.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from edgeai.errors import PictureError
from edgeai.file_lock import FileLockedError, lock_file
from edgeai.safe_text import one_line

_MAX_LINE_BYTES = 2**20
_BEGIN = b'{"file_name": "'


@dataclass(frozen=True, slots=True)
class Caption:
    """What is to be seen in a picture.

    Attributes:
        file_name: of the picture, relative to the folder of the captions where it lies below it.
        text: the caption.
        n_bytes: of the picture's file when it was looked at.
        mtime_ns: likewise, when it was last written, nanoseconds since 1970.
    """

    file_name: str
    text: str
    n_bytes: int
    mtime_ns: int


class CaptionFile:
    """The file, open for more lines. What a kill left half-written goes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open it, or make it.

        Raises:
            PictureError: it holds something else than captions, or another process writes it.
            OSError: it cannot be read or written.
        """
        self.path = Path(path)
        self._seen: set[tuple[str, int, int]] = set()
        try:
            self._file = os.fdopen(lock_file(self.path), "r+b")
        except FileLockedError as exc:
            raise PictureError(
                f"{self._shown}: another process writes captions into it: wait, or choose another"
            ) from exc
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    @property
    def _shown(self) -> str:
        return one_line(os.fspath(self.path))

    @property
    def n_captions(self) -> int:
        """Pictures that have one."""
        return len(self._seen)

    def name_of(self, picture: Path) -> str:
        """How a picture is called in it."""
        folder = self.path.absolute().parent
        picture = picture.absolute()
        return (picture.relative_to(folder) if picture.is_relative_to(folder) else picture).as_posix()

    def has(self, picture: Path) -> bool:
        """Whether a picture has a caption, and is as it was then.

        Raises:
            OSError: there is no such file.
        """
        found = picture.stat()
        return (self.name_of(picture), found.st_size, found.st_mtime_ns) in self._seen

    def add(self, caption: Caption) -> None:
        """Write one more, durably.

        Raises:
            OSError: the disk is full or cannot be written; the file is then as it was.
        """
        end = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(json.dumps(asdict(caption), ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise
        self._seen.add((caption.file_name, caption.n_bytes, caption.mtime_ns))

    def close(self) -> None:
        """Close it. May be called twice."""
        self._file.close()

    def __enter__(self) -> CaptionFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        end = 0
        while line := self._file.readline(_MAX_LINE_BYTES):
            if not line.endswith(b"\n") and (line.startswith(_BEGIN) or _BEGIN.startswith(line)):
                break  # killed in the middle of it
            try:
                caption = Caption(**json.loads(line))
            except (ValueError, TypeError, RecursionError) as exc:
                raise PictureError(
                    f"{self._shown}: expected captions in it, found something else; choose another file"
                ) from exc
            self._seen.add((caption.file_name, caption.n_bytes, caption.mtime_ns))
            end = self._file.tell()
        self._file.truncate(end)
