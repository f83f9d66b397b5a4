"""Tables as rows of text: columns as wide as their cells need, narrowed and wrapped where the screen is narrower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from textual.content import Content

from tui.rows import EMPTY, Row
from tui.wrap import break_offsets

SEPARATOR = " │ "
_NARROWEST = 4


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first line of cells is the head.

    Attributes:
        cells: lines of cells, each cell one line of text.
        left: shown before each line.
    """

    cells: Sequence[Sequence[Content]]
    left: Content = EMPTY

    def rows(self, width: int) -> list[Row]:
        """The rows at a width in cells."""
        n_columns = max((len(line) for line in self.cells), default=0)
        if not n_columns:
            return []
        widths = self._widths(n_columns, width - self.left.cell_length - len(SEPARATOR) * (n_columns - 1))
        rows: list[Row] = []
        for index, line in enumerate(self.cells):
            padded = [*line, *[EMPTY] * (n_columns - len(line))]
            rows += [Row(text, self.left, fold=True) for text in _line_of_cells(padded, widths)]
            if index == 0:
                rule = "─┼─".join("─" * cells for cells in widths)
                rows.append(Row(Content.styled(rule, ".md-dim"), self.left, fold=True))
        return rows

    def _widths(self, n_columns: int, available: int) -> list[int]:
        """Widths of the columns: what they need, the widest narrowed first until all fit."""
        widths = [
            max([1, *(line[column].cell_length for line in self.cells if column < len(line))])
            for column in range(n_columns)
        ]
        excess = sum(widths) - available
        while excess > 0 and (widest := max(widths)) > _NARROWEST:
            column = widths.index(widest)
            second = max([_NARROWEST, *(cells for cells in widths if cells < widest)])
            step = min(excess, widest - second) or 1
            widths[column] -= step
            excess -= step
        return widths


def _line_of_cells(cells: Sequence[Content], widths: Sequence[int]) -> list[Content]:
    """The lines of text that one line of cells takes."""
    wrapped = [cell.divide(break_offsets(cell.plain, width)) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in zip_longest(*wrapped, fillvalue=EMPTY):
        padded = [_pad(part.rstrip(), width) for part, width in zip(parts, widths, strict=True)]
        lines.append(Content.styled(SEPARATOR, ".md-dim").join(padded))
    return lines


def _pad(content: Content, width: int) -> Content:
    return content.pad_right(max(0, width - content.cell_length))
