"""CSV and its dialects, as Markdown tables with line numbers."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from typing import Any

from edgeai.documents.reading import tables
from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints
from edgeai.documents.reading.text import one_line_a_line

_DELIMITERS = (",", "\t", ";", "|")
_N_SAMPLE_LINES = 50
_SAMPLE_CHARS = 20_000
_PIECE_ROWS = 100


def read(data: bytes, out: Output, hints: Hints) -> None:
    """One table; in pieces, each with the head, where it is long or rows do not follow line by line."""
    lines = one_line_a_line(decode(data)).split("\n")
    csv.field_size_limit(2**24)
    delimiter = "\t" if hints.suffix in (".tsv", ".tab") else _delimiter(lines)
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    numbered = _numbered(reader)
    head, line, _ = next(numbered, (None, 1, 1))
    if head is None:
        return
    rows: list[list[str]] = []
    start, follows = line, line + 1  # of the piece that is open, and of the line behind it
    is_first = True
    for row, first, last in numbered:
        if len(rows) == _PIECE_ROWS or (first != follows and (rows or is_first)):
            _put(out, head, rows, start, is_first)
            rows, is_first = [], False
            out.progress(reader.line_num, len(lines))
        if not rows and not is_first:
            start = first
        rows.append(row)
        follows = last + 1 if first == last else -1
    _put(out, head, rows, start, is_first)


def _put(out: Output, head: list[str], rows: list[list[str]], line: int, is_first: bool) -> None:
    """Rows under their head. `line`: the head's, for the first ones; else the first row's."""
    for text, n_before in tables.markdown([head, *rows]):
        out.written_table(text, line + n_before - (n_before > 0 and not is_first))


def _numbered(reader: Any) -> Iterator[tuple[list[str], int, int]]:
    """Rows that hold something, each with the numbers of its first and its last line."""
    before = 0
    for row in reader:
        if any(cell.strip() for cell in row):
            yield row, before + 1, reader.line_num
        before = reader.line_num


def _delimiter(lines: list[str]) -> str:
    """The one that cuts most lines into the same number of columns, more than one."""

    def fitness(delimiter: str) -> tuple[float, int]:
        counts = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter) if row)
        if not counts:
            return 0.0, 0
        n_columns, n_rows = max(counts.items(), key=lambda item: (item[1] if item[0] > 1 else 0, item[0]))
        return (n_rows / counts.total() if n_columns > 1 else 0.0), n_columns

    sample = [line[: _SAMPLE_CHARS // 10] + "\n" for line in lines[:_N_SAMPLE_LINES]]
    return max(_DELIMITERS, key=fitness)
