"""Lines of one column to rows, and rows to paragraphs, headings and tables."""

from __future__ import annotations

import itertools
import statistics
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgeai.vision.picture_text import TextBlock, TextLine

# In heights of a usual line.
_CELL_GAP = 1.0  # between what stands together and the next cell
_CJK_GAP = 0.6  # a space between Japanese characters
_PARAGRAPH_GAP = 0.5  # more than between other lines
_HEADING = 1.6
_ROW_GAP = 3.0  # that the rows of a table have at most


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A line's bounds once the picture is turned upright, pixels."""

    line: TextLine
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Of the line."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Of the line."""
        return self.right - self.left

    @property
    def middle(self) -> float:
        """How far down its middle stands."""
        return (self.top + self.bottom) / 2


Row = list[Cell]
"""What stands beside each other, from the left."""


def rows_of(cells: Iterable[Cell]) -> list[Row]:
    """From the top, each from the left."""
    rows: list[Row] = []
    for cell in sorted(cells, key=lambda cell: cell.middle):
        if rows and cell.middle - statistics.fmean(other.middle for other in rows[-1]) < 0.5 * min(
            cell.height, *(other.height for other in rows[-1])
        ):
            rows[-1].append(cell)
        else:
            rows.append([cell])
    return [sorted(row, key=lambda cell: cell.left) for row in rows]


def blocks_of(rows: list[Row], height: float) -> list[TextBlock]:
    """What rows make together. `height`: of a usual line of the picture."""
    found: list[TextBlock] = []
    at = 0
    while at < len(rows):
        n_rows, columns = _table(rows[at:], height)
        if n_rows:
            found.append(TextBlock("table", tuple(_in_columns(row, columns) for row in rows[at : at + n_rows])))
        else:
            n_rows = _paragraph(rows[at:], height)
            n_rows = next((n for n in range(1, n_rows) if _table(rows[at + n :], height)[0]), n_rows)
            found.append(_prose(rows[at : at + n_rows], height))
        at += n_rows
    return found


def _prose(rows: list[Row], height: float) -> TextBlock:
    is_heading = len(rows) <= 2 and all(cell.height > _HEADING * height for row in rows for cell in row)
    return TextBlock("heading" if is_heading else "text", tuple((_joined(row),) for row in rows))


def _paragraph(rows: list[Row], height: float) -> int:
    """How many of the rows are its first paragraph."""
    gaps = [_gap(row, below) for row, below in itertools.pairwise(rows)]
    usual = statistics.median(gaps) if gaps else 0.0
    limit = max(usual, 0.0) + _PARAGRAPH_GAP * height
    for number, (gap, (row, below)) in enumerate(zip(gaps, itertools.pairwise(rows), strict=True), 1):
        sizes = sorted((_height(row), _height(below)))
        if gap > limit or sizes[1] > _HEADING * sizes[0]:
            return number
    return len(rows)


def _gap(row: Row, below: Row) -> float:
    return min(cell.top for cell in below) - max(cell.bottom for cell in row)


def _height(row: Row) -> float:
    return statistics.median(cell.height for cell in row)


def _table(rows: list[Row], height: float) -> tuple[int, list[tuple[float, float]]]:
    """How many of the rows are a table, 0 where they begin none, and where its columns begin and end."""
    n_rows, n_single = 0, 0
    columns: list[tuple[float, float]] = []
    for number, row in enumerate(rows, 1):
        pieces = [(piece[0].left, piece[-1].right) for piece in _pieces(row, height)]
        n_single = n_single + 1 if len(pieces) == 1 else 0
        wider = _united([*columns, *pieces])
        too_far = number > 1 and _gap(rows[number - 2], row) > _ROW_GAP * height
        if too_far or n_single > 1 or len(wider) < max(2, len(columns)) or _share(pieces, wider):
            break
        columns = wider
        if len(pieces) > 1:
            n_rows = number
    if n_rows < 2:
        return 0, []
    used = [(piece[0].left, piece[-1].right) for row in rows[:n_rows] for piece in _pieces(row, height)]
    return n_rows, _united(used)


def _united(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans from the left, those that overlap made one."""
    found: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if found and left < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], right))
        else:
            found.append((left, right))
    return found


def _share(pieces: Sequence[tuple[float, float]], columns: Sequence[tuple[float, float]]) -> bool:
    """Whether two pieces of a row stand in one column."""
    return any(sum(left <= piece[0] < right for piece in pieces) > 1 for left, right in columns)


def _in_columns(row: Row, columns: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    return tuple(_joined([cell for cell in row if left <= cell.left < right]) for left, right in columns)


def _pieces(row: Row, height: float) -> list[Row]:
    """A row cut where it has gaps as between the cells of a table."""
    found: list[Row] = []
    for cell in row:
        if found and cell.left - found[-1][-1].right <= _CELL_GAP * height:
            found[-1].append(cell)
        else:
            found.append([cell])
    return found


def _joined(row: Row) -> str:
    """What stands in a row: a space where there is a gap, or where one of both sides is written with spaces."""
    text = ""
    for before, cell in zip([None, *row], row, strict=False):
        if before is not None:
            gap = cell.left - before.right
            is_wide = gap > _CJK_GAP * min(before.height, cell.height)
            text += "" if not is_wide and _is_cjk(text[-1:]) and _is_cjk(cell.line.text[0]) else " "
        text += cell.line.text
    return text


def _is_cjk(character: str) -> bool:
    """Whether it is written without spaces: Chinese and Japanese, with their punctuation."""
    return character != "" and unicodedata.east_asian_width(character) in "WF" and not "가" <= character <= "힣"
