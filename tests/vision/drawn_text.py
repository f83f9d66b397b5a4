"""Pictures of text, drawn for the tests of its recognition."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw, ImageFont

from edgeai.media import Medium

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_JAPANESE = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")

Placed = tuple[int, int, str]
"""From the left, from the top, pixels; the text."""


def drawn(width: int, height: int, texts: Iterable[Placed], size: int = 24, *, japanese: bool = False) -> Image.Image:
    """Black text on white. `size`: of the letters, pixels."""
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    font = japanese_font(size) if japanese else ImageFont.load_default(size)
    for left, top, text in texts:
        pen.text((left, top), text, font=font, fill="black")
    return picture


def japanese_font(size: int) -> FreeTypeFont:
    """Debian's fonts-noto-cjk; a test without it is skipped."""
    if not _JAPANESE.exists():
        pytest.skip("needs Debian's fonts-noto-cjk")
    return ImageFont.truetype(_JAPANESE, size)


def medium_of(picture: Image.Image) -> Medium:
    """The same for a model."""
    return Medium.picture(picture.convert("RGB").tobytes(), *picture.size)


def scanned_pdf(pages: Iterable[Image.Image]) -> bytes:
    """A PDF whose pages are pictures, 200 dpi."""
    first, *others = pages
    file = BytesIO()
    first.save(file, "PDF", save_all=True, append_images=others, resolution=200)
    return file.getvalue()
