"""Rows of CSV with any delimiter. After a row that is broken the next line is taken up again."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence

from edgeai.errors import DocumentError
from edgeai.records.lines import Line
from edgeai.records.types import MAX_COLUMNS, MAX_ROW_CHARS, BrokenRow, Row

DELIMITERS = (",", "\t", ";", "|")
_N_TRIED = 50


class _Broken(Exception):  # noqa: N818 - a way out, not an error
    """A line that cannot be read."""


class _Feed:
    """Lines for `csv.reader`; those of the record at hand can be given back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self.taken: list[Line] = []
        self._n_chars = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self._n_chars += len(line.text)
        if line.why:
            raise _Broken(line.why)
        if self._n_chars > MAX_ROW_CHARS:
            raise csv.Error(f"more than {MAX_ROW_CHARS:,} characters, as after a quotation mark that is not closed")
        return line.text

    def next_record(self) -> None:
        """The record at hand is done with."""
        self.taken, self._n_chars = [], 0

    def give_back(self) -> None:
        """Take the lines of the record at hand up again, all but the first."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.next_record()


def csv_records(lines: Iterator[Line], delimiter: str) -> Iterator[tuple[int, list[str]] | BrokenRow]:
    """The records of CSV as RFC 4180 has it, each with the line where it begins; empty lines are none."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_CHARS))
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except (csv.Error, _Broken) as exc:
            yield BrokenRow(feed.taken[0].number, _reason(exc, feed.taken))
            feed.give_back()
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
            continue
        number = feed.taken[0].number
        feed.next_record()
        if record:
            yield number, record


def csv_rows(lines: Iterator[Line], delimiter: str) -> Iterator[Row | BrokenRow]:
    """The rows below the head.

    Raises:
        DocumentError: the head names a column twice, or too many of them.
    """
    records = csv_records(lines, delimiter)
    columns = head_of(records)
    for record in records:
        if isinstance(record, BrokenRow):
            yield record
            continue
        number, fields = record
        if len(fields) != len(columns):
            yield BrokenRow(
                number,
                f"{len(fields):,} field{'' if len(fields) == 1 else 's'}: expected {len(columns):,}, as the head has",
            )
        else:
            yield Row(number, dict(zip(columns, fields, strict=True)))


def head_of(records: Iterator[tuple[int, list[str]] | BrokenRow]) -> list[str]:
    """The names of the columns; one without a name gets its number.

    Raises:
        DocumentError: there are none, a name stands twice, or there are too many.
    """
    first = next(records, None)
    if first is None or isinstance(first, BrokenRow):
        why = f"line {first.line}: {first.why}" if first else "it is empty"
        raise DocumentError(f"the head of the CSV cannot be read ({why}): expected the names of the columns")
    names = [name.strip() or f"column_{number}" for number, name in enumerate(first[1], 1)]
    if len(names) > MAX_COLUMNS:
        raise DocumentError(f"{len(names):,} columns: expected at most {MAX_COLUMNS:,}")
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise DocumentError(f"the column {twice[:80]!r} stands twice in the head: expected names that differ")
    return names


def guess_delimiter(lines: Sequence[str], column: str | None) -> str:
    """The delimiter that makes even rows of some lines.

    Args:
        lines: the first ones.
        column: that the head has, if it does.
    """
    return max(DELIMITERS, key=lambda delimiter: _fit(lines[:_N_TRIED], delimiter, column))


def _fit(lines: Sequence[str], delimiter: str, column: str | None) -> tuple[bool, int, int]:
    records = csv_records((Line(number, text) for number, text in enumerate(lines, 1)), delimiter)
    found = [record[1] for record in records if not isinstance(record, BrokenRow)]
    if not found:
        return False, 0, 0
    n_columns = len(found[0])
    n_even = sum(len(record) == n_columns for record in found) if n_columns > 1 else 0
    return column in [name.strip() for name in found[0]], n_even, n_columns


def _reason(exc: Exception, taken: Sequence[Line]) -> str:
    """In our words: the module's own name characters, not what is wrong."""
    text = str(exc)
    if "unexpected end of data" in text:
        return "a quotation mark is not closed"
    if "expected after" in text:
        where = f" (line {taken[-1].number:,})" if len(taken) > 1 else ""
        return f"text behind a closing quotation mark{where}: expected a delimiter; double the marks within a field"
    return text
