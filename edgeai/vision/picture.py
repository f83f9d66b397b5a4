"""Pictures from files, bytes and programs: `load_picture` for one, `PictureReader` for many."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Union

from edgeai.errors import EngineCrashedError, PictureError
from edgeai.media import Medium
from edgeai.regular_file import CHANGED, file_state, opened
from edgeai.safe_text import one_line
from edgeai.vision.sniff import expected_format

if TYPE_CHECKING:
    from PIL.Image import Image

    from edgeai.vision.process import Content, Decoder

_PIECE_BYTES = 2**20
_UNNAMED = "the picture"

PictureLike = Union[str, "os.PathLike[str]", bytes, "Image"]
"""What stands for a picture: a path, a file's bytes, or a picture of Pillow's."""


@dataclass(frozen=True, slots=True)
class LoadedPicture:
    """A picture as a model takes it in.

    Attributes:
        medium: its pixels: upright, sRGB, on white.
        name: of its file, without folders, on one line; "" where it has none.
        format: of its file, such as "PNG"; "" of pixels that a program made.
        width: in its file, pixels, upright; `medium.width` may be smaller.
        height: likewise.
        notes: what a user should know, such as "first of 12 frames".
    """

    medium: Medium
    name: str
    format: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


def load_picture(source: PictureLike) -> LoadedPicture:
    """Read a picture, a file or bytes in a sandboxed process.

    Args:
        source: a path, a file's bytes, or a picture of Pillow's. A file's content decides what it is.
    Raises:
        PictureError: it cannot be read. One line that names the file, what was expected and what to do.
    """
    with PictureReader() as reader:
        return reader.load(source)


class PictureReader:
    """Reads pictures in one process, one after the other; threads may share it. It starts with the first picture.

    Where the process crashes or hangs over a picture, that is the picture's error, and the next gets a new process.
    """

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._lock = threading.Lock()

    def load(self, source: PictureLike) -> LoadedPicture:
        """As `load_picture`."""
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            try:
                return self._of_file(path)
            except PictureError as exc:
                raise PictureError(f"{one_line(os.fspath(path))}: {exc}") from exc.__cause__
        try:
            if isinstance(source, (bytes, bytearray, memoryview)):
                return self._of_bytes(bytes(source))
            return _of_image(source)
        except PictureError as exc:
            raise PictureError(f"{_UNNAMED}: {exc}") from exc.__cause__

    def close(self) -> None:
        """End the process. May be called twice; the next picture starts a new one."""
        with self._lock:
            self._close()

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _of_file(self, path: Path) -> LoadedPicture:
        from edgeai.vision.limits import MAX_FILE_BYTES

        with opened(path, "a picture", MAX_FILE_BYTES, PictureError) as (file, before):
            content = self._decoded(_pieces(file, before), before.st_size)
        expected = expected_format(path)
        notes = []
        if expected not in (None, content.format):
            notes.append(f"called {path.suffix.lower()}, but it is {content.format}")
        return _loaded(content, one_line(path.name), notes)

    def _of_bytes(self, data: bytes) -> LoadedPicture:
        from edgeai.vision.limits import MAX_FILE_BYTES

        if not 0 < len(data) <= MAX_FILE_BYTES:
            raise PictureError(
                f"{len(data):,} bytes: expected those of a picture's file, at most {MAX_FILE_BYTES:,}; look at where "
                "they come from"
            )
        pieces = (data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES))
        return _loaded(self._decoded(pieces, len(data)), "", [])

    def _decoded(self, pieces: Iterator[bytes], n_bytes: int) -> Content:
        from edgeai.vision import process

        with self._lock:
            self._decoder = self._decoder or process.Decoder()
            try:
                return self._decoder.decode(pieces, n_bytes)
            except process.RefusedError:
                raise
            except EngineCrashedError as exc:
                self._close()
                raise PictureError(process.words_of(exc)) from exc
            except BaseException:  # it waits for the rest of this picture, or has an answer to it
                self._close()
                raise

    def _close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None


def _pieces(file: BinaryIO, before: os.stat_result) -> Iterator[bytes]:
    """A file's bytes, exactly as many as it said."""
    n_read = 0
    while piece := file.read(_PIECE_BYTES):
        n_read += len(piece)
        if n_read > before.st_size:
            break
        yield piece
    if n_read != before.st_size or file_state(os.fstat(file.fileno())) != file_state(before):
        raise PictureError(CHANGED)


def _loaded(content: Content, name: str, notes: list[str]) -> LoadedPicture:
    if content.n_frames > 1:
        parts = "pages" if content.format == "TIFF" else "frames"
        notes.append(f"first of {content.n_frames:,} {parts}")
    if (note := _smaller(content.medium, content.width, content.height)) is not None:
        notes.append(note)
    return LoadedPicture(content.medium, name, content.format, content.width, content.height, tuple(notes))


def _smaller(medium: Medium, width: int, height: int) -> str | None:
    return None if medium.size == (width, height) else f"made smaller from {width:,} x {height:,}"


def _of_image(image: Any) -> LoadedPicture:
    """A picture that a program has: its own decoding is its own affair."""
    pillow = sys.modules.get("PIL.Image")
    if pillow is None or not isinstance(image, pillow.Image):
        raise PictureError(f"{type(image).__name__}: expected a path, a file's bytes or a PIL.Image.Image; give one")
    from edgeai.vision.convert import fitting, to_rgb, upright_size

    if not all(image.size):
        raise PictureError(f"{image.width} x {image.height} pixels: expected one at least; look at what made it")
    lying = image.size
    try:
        image.load()
        pixels = to_rgb(image, fitting(*lying))
        width, height = upright_size(image, lying)
    except (OSError, ValueError, SyntaxError) as exc:
        reason = one_line(f"{type(exc).__name__}: {exc}"[:200])
        raise PictureError(f"it cannot be taken over ({reason}): expected an undamaged picture; save it anew") from exc
    medium = Medium.picture(pixels.tobytes(), *pixels.size)
    note = _smaller(medium, width, height)
    return LoadedPicture(medium, "", image.format or "", width, height, (note,) if note else ())
