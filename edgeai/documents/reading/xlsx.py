"""Workbooks: each sheet is a page; its tables, which blank rows separate, are Markdown."""

from __future__ import annotations

import datetime
import itertools
import warnings
from collections.abc import Iterable, Iterator

from edgeai.documents.reading.output import Output
from edgeai.documents.reading.package import office
from edgeai.documents.reading.sniff import Hints

_PIECE_ROWS = 200


def read(data: bytes, out: Output, hints: Hints) -> None:
    """The values that the cells showed when the file was saved, formulas by their last result."""
    import openpyxl

    warnings.simplefilter("ignore")  # of what openpyxl cannot keep, which nobody here will write
    book = openpyxl.load_workbook(office(data), read_only=True, data_only=True, keep_links=False)
    out.title = book.properties.title or ""
    sheets = book.worksheets
    out.n_pages = len(sheets)
    for number, sheet in enumerate(sheets, 1):
        out.page = number
        out.heading(1, sheet.title)
        sheet.reset_dimensions()  # what a file says of its size need not be true
        for table in _tables(sheet.iter_rows(values_only=True), out, number - 1):
            out.table(table)
        out.progress(number, len(sheets))


def _tables(rows: Iterable[tuple[object, ...]], out: Output, n_done: int) -> Iterator[list[list[str]]]:
    """Runs of rows that hold something; a long one in pieces, each under the run's first row."""
    head: list[str] | None = None
    piece: list[list[str]] = []
    is_shown = False
    for number, row in enumerate(itertools.chain(rows, [()])):
        if number % _PIECE_ROWS == 0:
            out.progress(n_done, out.n_pages or 1)
        cells = [_words(value) for value in row]
        if head is None:
            head, is_shown = (cells if any(cells) else None), False
        elif any(cells):
            piece.append(cells)
        if head is not None and (len(piece) == _PIECE_ROWS or not any(cells)):
            if piece or not is_shown:
                yield [head, *piece]
            piece, is_shown = [], True
            head = head if any(cells) else None


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    return str(value).strip()
