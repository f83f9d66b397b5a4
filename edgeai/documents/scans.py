"""The text of scanned pages, recognised while a document is read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from edgeai.documents.kept_text import keep_text, kept_text, text_key
from edgeai.documents.reading.process import Content
from edgeai.documents.reading.tables import markdown
from edgeai.documents.types import Block, OcrMode
from edgeai.errors import OptionError, PictureError
from edgeai.media import Medium
from edgeai.vision import ocr
from edgeai.vision.picture_text import PictureText

OnPage = Callable[[int, tuple[int, int], PictureText], object]
"""Told of a page: its number, its width and height in pixels, and what stands on it."""

_log = logging.getLogger(__name__)


def possible(wanted: OcrMode) -> OcrMode:
    """What can be done here: "never" instead of "auto" where the extra `ocr` is not installed.

    Raises:
        OptionError: no such mode; or all pages are wanted, and the extra is not installed.
    """
    if wanted not in ("auto", "always", "never"):
        raise OptionError(f"ocr={wanted!r}: expected auto, always or never")
    if wanted != "never" and not ocr.is_installed():
        if wanted == "always":
            raise ocr.not_installed()
        return "never"
    return wanted


def advice(done: OcrMode) -> str:
    """What to do about pages that are pictures and gave no text. `done`: how they were read."""
    if done != "never":
        return "no writing that can be recognised (OCR) was found on them: scan them anew, upright and at 200 dpi"
    if not ocr.is_installed():
        return f"their text can be recognised (OCR) with an extra: {ocr.PIP}"
    return "--ocr auto recognises their text"


class Scans:
    """Recognises one page after the other.

    Attributes:
        ocr: what is done: "never" also where "auto" cannot be.
    """

    def __init__(self, wanted: OcrMode, *, keep: bool = False) -> None:
        """
        Args:
            wanted: which pages are recognised.
            keep: what is recognised, page by page, so that a reading that was stopped goes on from there.
        Raises:
            OptionError: no such mode; or all pages are wanted, and the extra `ocr` is not installed.
        """
        self.ocr = possible(wanted)
        self._keep = keep

    @property
    def facts(self) -> tuple[str, ...]:
        """What tells a text that was read so from others of the same file."""
        return () if self.ocr == "never" else (self.ocr, ocr.READER_NAME)

    def __call__(self, page: int, picture: Medium) -> tuple[Block, ...]:
        """What stands on a page."""
        if self.ocr == "never":
            return ()
        key = text_key("page", picture.sha256, ocr.READER_NAME)
        if self._keep and (content := kept_text(key)) is not None:
            return content.blocks
        try:
            blocks = tuple(blocks_of(ocr.read_text(picture)))
        except OptionError as exc:  # it is installed and cannot be loaded
            if self.ocr == "always":
                raise
            _log.warning("scanned pages are left out: %s", exc)
            self.ocr = "never"
            return ()
        except PictureError as exc:
            _log.warning("page %d is left out: %s", page, exc)
            return ()
        if self._keep:
            keep_text(key, Content("scan", "", blocks, None, ()))
        return blocks


class Pages(Scans):
    """Recognises all pages and hands what stands on each over, instead of making a document of it."""

    def __init__(self, on_page: OnPage) -> None:
        """
        Raises:
            OptionError: the extra `ocr` is not installed.
        """
        super().__init__("always")
        self._on_page = on_page

    def __call__(self, page: int, picture: Medium) -> tuple[Block, ...]:
        """Tell of a page."""
        self._on_page(page, picture.size, ocr.read_text(picture))
        return ()


def blocks_of(recognized: PictureText) -> Iterator[Block]:
    """What was recognised, as a document holds it. Large letters make no heading: they are often none."""
    for block in recognized.blocks:
        if block.kind == "table":
            yield from (Block(text, "table") for text, _ in markdown(block.rows))
        else:
            yield Block(block.text)
