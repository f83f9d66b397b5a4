"""Rows: logical lines of styled text, and how they wrap into the lines that a screen shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from textual.content import Content

from edgeai.safe_text import plain
from tui.wrap import break_offsets

EMPTY = Content("")
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Row:
    """One logical line. Copying gives back its content, however it was wrapped.

    Attributes:
        content: the text; never made from markup.
        left: shown before each of its lines and never copied (a quotation's bar, the edge of code).
        hang: cells by which its second and later lines are indented.
        fill: a style across the whole width of its lines.
        fold: wrap anywhere, as code needs it.
    """

    content: Content
    left: Content = EMPTY
    hang: int = 0
    fill: str = ""
    fold: bool = False


class Flexible(Protocol):
    """Rows that depend on the width (a table)."""

    def rows(self, width: int) -> Sequence[Row]:
        """The rows at a width in cells."""
        ...


class Line(NamedTuple):
    """A line on the screen: a row, its number, and the part of its content that is shown."""

    row: Row
    number: int
    start: int
    end: int


def wrap_rows(rows: Iterable[Row | Flexible], width: int, number: int = 0) -> list[Line]:
    """The lines of a list of rows.

    Args:
        rows: what is shown.
        width: cells.
        number: the first row's number.
    """
    lines: list[Line] = []
    for item in rows:
        for row in [item] if isinstance(item, Row) else item.rows(width):
            text = row.content.plain
            offsets = break_offsets(text, width - row.left.cell_length, row.hang, fold=row.fold)
            starts = [0, *offsets]
            ends = [*offsets, len(text)]
            lines += [Line(row, number, start, end) for start, end in zip(starts, ends, strict=True)]
            number += 1
    return lines


def text_rows(text: str, left: Content = EMPTY) -> list[Row]:
    """Rows that show a text as it is written."""
    return [Row(Content(line), left) for line in tidy(text).split("\n")]


def tidy(text: str) -> str:
    """A text without anything that a terminal could act on, its lines ended by newlines, its tabs by spaces."""
    return plain(_LINE_ENDS.sub("\n", text)).expandtabs(4)
