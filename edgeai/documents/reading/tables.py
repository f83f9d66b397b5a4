"""Rows to Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

_MAX_COLUMNS = 500
_PIECE_CHARS = 4_000
_PIECE_ROWS = 100


def markdown(rows: Iterable[Sequence[str]]) -> Iterator[tuple[str, int]]:
    """Tables of at most some thousand characters that together are the rows, each under the first row as its head.

    Yields:
        A table, and how many rows stand before its first row of content (before the head, for the first table).
    """
    head: str | None = None
    lines: list[str] = []
    first, n_chars = 0, 0
    for n_rows, row in enumerate(rows, 1):
        if head is None:
            head = _row(row) + "\n" + "|" + " --- |" * max(1, min(len(_used(row)), _MAX_COLUMNS))
        else:
            lines.append(_row(row))
            n_chars += len(lines[-1])
        if lines and (n_chars >= _PIECE_CHARS or len(lines) >= _PIECE_ROWS):
            yield "\n".join([head, *lines]), first
            lines, n_chars, first = [], 0, n_rows
    if head is not None and (lines or first == 0):
        yield "\n".join([head, *lines]), first


def _row(row: Sequence[str]) -> str:
    used = _used(row)
    if len(used) > _MAX_COLUMNS:  # nothing is lost, but no table grows as wide as one far cell
        rest = " / ".join(value for value in used[_MAX_COLUMNS - 1 :] if value.strip())
        used = [*used[: _MAX_COLUMNS - 1], rest]
    return "| " + " | ".join(map(_cell, used)) + " |"


def _used(row: Sequence[str]) -> Sequence[str]:
    """A row without the empty cells at its end."""
    n = len(row)
    while n and not row[n - 1].strip():
        n -= 1
    return row[:n]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
