"""Boxes drawn into a picture, with what is in them."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import PictureError
from edgeai.files import write_bytes
from edgeai.media import Medium
from edgeai.vision.grounding import Detection

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_COLOURS = ("#e6194b", "#0072b2", "#009e73", "#d55e00", "#7b3294", "#a6761d")
_MIN_LINE, _LINES_A_SIDE = 2, 300  # pixels; so many lines would fill the longer side
_MIN_TEXT, _TEXTS_A_SIDE = 12, 40
_FONTS = ("NotoSansCJK-Regular.ttc", "YuGothM.ttc", "msgothic.ttc", "Hiragino Sans GB.ttc", "NotoSansJP-Regular.ttf")
"""With Japanese, where one of them is installed; Pillow's own font has Latin letters alone."""


def save_marked(
    medium: Medium, detections: Sequence[Detection], size: tuple[int, int], path: str | os.PathLike[str]
) -> None:
    """Write a picture with boxes, whole or not at all.

    Args:
        medium: the picture.
        detections: what was found, in pixels of a picture of `size`.
        size: width and height that the boxes count in; the medium may be smaller.
        path: a .png, .jpg or .webp file.
    Raises:
        PictureError: another ending.
        OSError: it cannot be written.
    """
    from PIL import Image, ImageDraw

    path = checked_path(path)
    image = Image.frombuffer("RGB", medium.size, medium.data, "raw", "RGB", 0, 1).copy()
    draw, longer = ImageDraw.Draw(image), max(medium.size)
    labels = list(dict.fromkeys(detection.label for detection in detections))
    font = _font(max(_MIN_TEXT, longer // _TEXTS_A_SIDE), is_latin="".join(labels).isascii())
    for detection in detections:
        colour = _COLOURS[labels.index(detection.label) % len(_COLOURS)]
        left, top, right, bottom = (
            edge * medium.size[index % 2] / size[index % 2] for index, edge in enumerate(detection.box)
        )
        draw.rectangle((left, top, right, bottom), outline=colour, width=max(_MIN_LINE, longer // _LINES_A_SIDE))
        _write(draw, detection.label, (left, top), colour, font)
    data = io.BytesIO()
    image.save(data, FORMATS[path.suffix.lower()])
    write_bytes(path, data.getvalue())


def checked_path(path: str | os.PathLike[str]) -> Path:
    """A path whose ending tells a format.

    Raises:
        PictureError: it does not.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise PictureError(f"{path}: expected a name that ends in {', '.join(FORMATS)}")
    return path


def _font(size: int, *, is_latin: bool) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    for name in () if is_latin else _FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _write(draw: ImageDraw, text: str, at: tuple[float, float], colour: str, font: FreeTypeFont | ImageFont) -> None:
    """A label on its own colour, above the box or, where there is no room, inside."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    height = bottom - top + 4
    y = at[1] - height if at[1] >= height else at[1]
    draw.rectangle((at[0], y, at[0] + right - left + 6, y + height), fill=colour)
    draw.text((at[0] + 3 - left, y + 2 - top), text, fill="white", font=font)
