"""The pages of a PDF as slides, by PDFium: lines with the size of their letters and their places, and the picture."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from statistics import median
from typing import Any

from edgeai.documents.reading.pdf import opened
from edgeai.errors import DocumentError
from edgeai.review.wire import MAX_LINE_CHARS, MAX_LINES, Job, RawLine, RawSlide

_LONGER_SIDE = 2000
"""Pixels of a drawn slide: letters that can be read on a screen are 17 pixels high or more."""
_MAX_CHARS = 20_000  # of a page; no slide has more
_GRID = 1_000_000
_MAX_DEPTH = 4  # of forms within forms


def slides(data: bytes, job: Job) -> Iterator[int | RawSlide]:
    """The number of pages, then those that are wanted."""
    document = opened(data, job.password)
    if not len(document):
        raise DocumentError("it has no pages: expected a deck with some; export it again")
    yield len(document)
    for index in range(job.first - 1, min(job.last, len(document))):
        yield _slide(document, index, draws=job.draws)


def _slide(document: Any, index: int, *, draws: bool) -> RawSlide:
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError:  # one broken page is no reason to lose the others
        return RawSlide(index + 1, 0, [])
    _, height = page.get_size()
    text_page = page.get_textpage()
    lines = _lines(page, text_page)
    text_page.close()
    width_px, height_px, pixels = _drawn(page) if draws else (0, 0, b"")
    has_pictures = _has_pictures(page, has_text=bool(lines))
    page.close()
    return RawSlide(
        index + 1,
        min(max(height, 0), 1e6),
        lines,
        has_pictures=has_pictures,
        pixel_width=width_px,
        pixel_height=height_px,
        pixels=pixels,
    )


def _has_pictures(page: Any, *, has_text: bool) -> bool:
    """Whether something may be written on it that is no text; letters are sometimes drawn as lines."""
    import pypdfium2

    kinds = [pypdfium2.raw.FPDF_PAGEOBJ_IMAGE] if has_text else None
    return next(page.get_objects(filter=kinds, max_depth=_MAX_DEPTH), None) is not None


def _drawn(page: Any) -> tuple[int, int, bytes]:
    """Its pixels, however large the page is."""
    import pypdfium2

    try:
        bitmap = page.render(scale=(1 - 1e-6) * _LONGER_SIDE / max(page.get_size()), rev_byteorder=True)
    except (ValueError, ZeroDivisionError, pypdfium2.PdfiumError):  # a page of no size
        return 0, 0, b""
    n_bytes = 3 * bitmap.width
    data = memoryview(bitmap.buffer).cast("B")
    rows = (data[at : at + n_bytes] for at in range(0, bitmap.stride * bitmap.height, bitmap.stride))
    drawn = bitmap.width, bitmap.height, b"".join(rows)
    bitmap.close()
    return drawn


def _lines(page: Any, text_page: Any) -> list[RawLine]:
    from pypdfium2 import raw

    found: list[RawLine] = []
    line = _Line(page, text_page)
    for index in range(min(text_page.count_chars(), _MAX_CHARS)):
        if raw.FPDFText_GetUnicode(text_page, index) in (10, 13):
            found += line.taken()
            line = _Line(page, text_page)
        else:
            line.add(index)
    return [*found, *line.taken()][:MAX_LINES]


class _Line:
    """Characters of one line."""

    def __init__(self, page: Any, text_page: Any) -> None:
        self._page, self._text_page = page, text_page
        self._codes: list[int] = []
        self._sizes: list[float] = []
        self._corners: list[tuple[float, float]] = []

    def add(self, index: int) -> None:
        from pypdfium2 import raw

        code = raw.FPDFText_GetUnicode(self._text_page, index)
        self._codes.append(code)
        if chr(min(code, 0x10FFFF)).isspace():
            return
        matrix = raw.FS_MATRIX()
        if raw.FPDFText_GetMatrix(self._text_page, index, matrix):
            self._sizes.append(raw.FPDFText_GetFontSize(self._text_page, index) * math.hypot(matrix.c, matrix.d))
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        if raw.FPDFText_GetCharBox(self._text_page, index, left, right, bottom, top) and top.value > bottom.value:
            self._corners += [self._place(left, top), self._place(right, bottom)]

    def taken(self) -> list[RawLine]:
        """The line, unless it is blank or stands beside the page."""
        codes = b"".join(code.to_bytes(2, "little") for code in self._codes if code < 2**16)
        text = " ".join(codes.decode("utf-16-le", "replace").replace("\ufffe", "").split())[:MAX_LINE_CHARS]
        size = median(self._sizes) if self._sizes else 0.0
        if not text:
            return []
        box = None
        if self._corners:
            across, down = zip(*self._corners, strict=True)
            if max(across) <= 0 or max(down) <= 0 or min(across) >= 1 or min(down) >= 1:
                return []
            box = (_within(min(across)), _within(min(down)), _within(max(across)), _within(max(down)))
        return [RawLine(text, min(size, 1e6) if math.isfinite(size) else 0.0, box)]

    def _place(self, x: ctypes.c_double, y: ctypes.c_double) -> tuple[float, float]:
        """Of a point, in shares of the page as it is shown."""
        from pypdfium2 import raw

        across, down = ctypes.c_int(), ctypes.c_int()
        raw.FPDF_PageToDevice(self._page, 0, 0, _GRID, _GRID, 0, x, y, across, down)
        return across.value / _GRID, down.value / _GRID


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)
