"""Reading what is written in a picture: the engine is loaded by the first picture, and stays until it is released."""

from __future__ import annotations

import importlib.util
import threading
from typing import TYPE_CHECKING, Protocol

from edgeai.errors import OptionError, PictureError
from edgeai.free_memory import return_memory
from edgeai.media import Medium
from edgeai.safe_text import one_line
from edgeai.vision.picture_text import PictureText, TextBlock, TextLine
from edgeai.vision.reading_order import in_reading_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PictureText", "TextBlock", "TextLine", "is_installed", "read_text", "release"]

READER_NAME = "rapidocr PP-OCRv6 1"
"""Another one where the same picture gets another text than before: what was kept of it is then recognised again."""
PIP = "pip install 'edgeai[ocr]'"

_MIN_SCORE = 0.5  # as RapidOCR's own; less is mostly what is no writing at all


class TextReader(Protocol):
    """Finds lines of text in pixels and recognises them."""

    def read(self, pixels: NDArray[np.uint8]) -> tuple[list[TextLine], bool]:
        """The lines, in any order.

        Args:
            pixels: [height, width, 3], RGB.
        Returns:
            The lines, hostile as they are; and whether most of them stood on their heads, or ran up where they are
            tall.
        """


_lock = threading.Lock()
_reader: TextReader | None = None


def read_text(picture: Medium) -> PictureText:
    """Recognise what is written in a picture, in English, Japanese, Chinese and other Latin languages.

    It may lie on its side or stand on its head. One picture is read at a time, on all cores.

    Args:
        picture: pixels; see `edgeai.vision.picture.load_picture`.
    Returns:
        Lines in reading order, none where nothing is written. What they say is hostile text.
    Raises:
        OptionError: the extra `ocr` is not installed.
        PictureError: it is a sound, or the engine fails on it.
    """
    import numpy as np

    if picture.is_sound:
        raise PictureError("a sound: expected a picture; transcribe it instead")
    width, height = picture.size
    pixels = np.frombuffer(picture.data, np.uint8).reshape(height, width, 3)
    with _lock:
        lines, is_flipped = _loaded().read(pixels)
    return_memory()
    return in_reading_order(_safe(lines), is_flipped=is_flipped)


def is_installed() -> bool:
    """Whether the extra `ocr` is there; nothing is loaded."""
    return importlib.util.find_spec("rapidocr") is not None


def not_installed(reason: str = "") -> OptionError:
    """The error where the extra is missing, or cannot be loaded."""
    why = f"cannot be loaded here ({one_line(reason)})" if reason else "is not installed"
    return OptionError(f"reading what is written in pictures needs rapidocr, which {why}: {PIP}")


def release() -> None:
    """Free the engine's memory; the next picture loads it again."""
    global _reader
    with _lock:
        _reader = None
    return_memory()


def _loaded() -> TextReader:
    global _reader
    if _reader is None:
        from edgeai.vision.rapid_ocr import RapidReader

        _reader = RapidReader()
    return _reader


def _safe(lines: list[TextLine]) -> list[TextLine]:
    """Lines that say something and are likely, without control characters."""
    cleaned = (TextLine(one_line(line.text).strip(), line.box, line.score) for line in lines)
    return [line for line in cleaned if line.text and line.score >= _MIN_SCORE]
