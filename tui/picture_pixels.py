"""A picture's pixels for so many cells of a terminal: only what we decoded ourselves ever reaches one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeai.media import Medium

if TYPE_CHECKING:
    from PIL.Image import Image

_REDUCING_GAP = 3.0


def cells_for(size: tuple[int, int], columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int]:
    """How many columns and rows a picture takes: no more than there are, never larger than it is, its ratio kept.

    Args:
        size: of the picture, pixels.
        columns: that it may take.
        rows: likewise.
        cell: width and height of a cell, pixels.
    """
    (width, height), (cell_width, cell_height) = size, cell
    scale = min(1.0, columns * cell_width / width, rows * cell_height / height)
    taken = round(width * scale / cell_width), math.ceil(height * scale / cell_height - 0.25)
    return max(1, min(columns, taken[0])), max(1, min(rows, taken[1]))


def pixels_of(medium: Medium, size: tuple[int, int]) -> Image:
    """A picture made to fit a size, which is no larger in area; mode RGB."""
    from PIL import Image

    whole = Image.frombuffer("RGB", medium.size, medium.data, "raw", "RGB", 0, 1)
    # Of a few large pixels each stray one is seen: this filter is the sharpest that makes none beside edges.
    return whole.resize(size, Image.Resampling.HAMMING, reducing_gap=_REDUCING_GAP)
