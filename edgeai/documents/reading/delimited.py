"""CSV and its dialects, as Markdown tables with line numbers."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from typing import Any

from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints
from edgeai.documents.reading.text import one_line_a_line

_DELIMITERS = (",", "\t", ";", "|")
_N_SAMPLE_LINES = 50
_SAMPLE_CHARS = 20_000
_PIECE_ROWS = 100


def read(data: bytes, out: Output, hints: Hints) -> None:
    """One table; a long one in pieces, each with the head and its first row's line number."""
    lines = one_line_a_line(decode(data)).split("\n")
    csv.field_size_limit(2**24)
    delimiter = "\t" if hints.suffix in (".tsv", ".tab") else _delimiter(lines)
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    head: list[str] | None = None
    rows: list[list[str]] = []
    line = 1
    for row, first in _numbered(reader):
        if head is None:
            head, line = row, first
            continue
        if not rows and line != 1:
            line = first
        rows.append(row)
        if len(rows) == _PIECE_ROWS:
            out.table([head, *rows], line)
            rows, line = [], 0
            out.progress(reader.line_num, len(lines))
    if head is not None and (rows or line):
        out.table([head, *rows], line or None)


def _numbered(reader: Any) -> Iterator[tuple[list[str], int]]:
    """Rows that hold something, each with its first line's number."""
    before = 0
    for row in reader:
        if any(cell.strip() for cell in row):
            yield row, before + 1
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
