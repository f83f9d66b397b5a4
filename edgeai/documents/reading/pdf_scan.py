"""A page of a PDF as a picture, for its text to be recognised."""

from __future__ import annotations

import math
from typing import Any

from edgeai.documents.reading.output import Output
from edgeai.media import MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE

_DPI = 200
_POINTS = 72  # of an inch
_MOST_PIXELS, _MOST_SIDE = MAX_PICTURE_PIXELS * 15 // 16, MAX_PICTURE_SIDE - 1  # as both sides are rounded up


def scan(page: Any, out: Output) -> None:
    """Draw a page and hand it over: at 200 dpi, a poster smaller."""
    width, height = page.get_size()
    # A hair less, as sizes are rounded up: a scan of 200 dpi keeps its very pixels.
    scale = (1 - 1e-6) * min(
        _DPI / _POINTS, math.sqrt(_MOST_PIXELS / (width * height)), _MOST_SIDE / max(width, height)
    )
    bitmap = page.render(scale=scale, rev_byteorder=True)
    n_bytes = 3 * bitmap.width
    data = memoryview(bitmap.buffer).cast("B")
    rows = (data[at : at + n_bytes] for at in range(0, bitmap.stride * bitmap.height, bitmap.stride))
    out.scan(bitmap.width, bitmap.height, b"".join(rows))
    bitmap.close()
