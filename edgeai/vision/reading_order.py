"""The order in which lines that were found in a picture are read: columns, rows, tables.

Columns are found by a recursive X-Y cut of the lines' boxes (Nagy and Seth 1984; on boxes instead of pixels: Ha,
Haralick and Phillips 1995, "Recursive X-Y Cut using Bounding Boxes of Connected Components"). Boxes that lie across the
gap between columns (titles) are taken out first and cut the columns into bands, as XY-Cut++ (Liu et al. 2025) does.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence

from edgeai.vision.picture_text import PictureText, TextBlock, TextLine
from edgeai.vision.text_rows import Cell, blocks_of, rows_of

# All in heights of a usual line.
_GUTTER = 0.6  # between columns, at least
_BAND_GAP = 1.5  # where a column or page may be cut across

_PROSE = 8.0  # width by height of a column's usual line: what is narrower belongs to a table or a form
_FULL = 0.6  # of a column's width that its usual line has
_MOST_TRIED = 4
_MOST_ACROSS = 0.2  # of boxes that may lie across a gap between columns
_MAX_DEPTH = 30
_TALL = 1.5  # height by width of a box whose text runs down or up


def in_reading_order(lines: Iterable[TextLine], *, is_flipped: bool = False) -> PictureText:
    """Lines as they are read.

    Args:
        lines: in any order. Where most are tall and narrow, their text runs down: the picture lies on its side, or it
            is vertical Japanese; both are read from the right.
        is_flipped: it stands on its head, or runs up where it is tall.
    """
    cells = _upright(list(lines), is_flipped=is_flipped)
    if not cells:
        return PictureText()
    height = statistics.median(cell.height for cell in cells)
    in_order: list[TextLine] = []
    blocks: list[TextBlock] = []
    for column in _columns(cells, height, 0):
        rows = rows_of(column)
        in_order += [cell.line for row in rows for cell in row]
        blocks += blocks_of(rows, height)
    return PictureText(tuple(in_order), tuple(blocks))


# --- upright ---


def is_tall(line: TextLine) -> bool:
    """Whether its box is that of a text that runs down or up."""
    upper_left, upper_right, _, lower_left = line.box
    return math.dist(upper_left, lower_left) >= _TALL * math.dist(upper_left, upper_right)


def _upright(lines: Sequence[TextLine], *, is_flipped: bool) -> list[Cell]:
    """The bounds of lines in a picture that is turned by the direction of their text, skew included."""
    if not lines:
        return []
    n_down = sum(len(line.text) if is_tall(line) else -len(line.text) for line in lines)
    quarter = (90.0 if n_down > 0 else 0.0) + (180.0 if is_flipped else 0.0)
    axis = [line for line in lines if is_tall(line) == (n_down > 0)]
    skew = statistics.median(_skew(line, runs_down=n_down > 0) for line in axis)
    angle = math.radians(quarter + skew)
    return [_turned(line, math.cos(angle), math.sin(angle)) for line in lines]


def _skew(line: TextLine, *, runs_down: bool) -> float:
    """Degrees by which a text's direction differs from right or down."""
    start, end = line.box[0], line.box[3 if runs_down else 1]
    degrees = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    return degrees - (90.0 if runs_down else 0.0)


def _turned(line: TextLine, cosine: float, sine: float) -> Cell:
    points = [(x * cosine + y * sine, y * cosine - x * sine) for x, y in line.box]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Cell(line, min(xs), min(ys), max(xs), max(ys))


# --- columns ---


def _columns(cells: list[Cell], height: float, depth: int) -> list[list[Cell]]:
    """Parts of the page in their order, none of which has columns beside each other."""
    if len(cells) < 4 or depth > _MAX_DEPTH:
        return [cells]
    if (gutter := _gutter(cells, height)) is not None:
        return [column for part in _bands(cells, gutter) for column in _columns(part, height, depth + 1)]
    if (cut := _widest_gap(cells, height)) is None:
        return [cells]
    above = _columns([cell for cell in cells if cell.bottom <= cut], height, depth + 1)
    below = _columns([cell for cell in cells if cell.bottom > cut], height, depth + 1)
    return [cells] if len(above) == len(below) == 1 else [*above, *below]


def _bands(cells: list[Cell], gutter: float) -> list[list[Cell]]:
    """Left and right of a gap, between what lies across it."""
    across = sorted((cell for cell in cells if cell.left < gutter < cell.right), key=lambda cell: cell.middle)
    parts: list[list[Cell]] = []
    rest = [cell for cell in cells if not cell.left < gutter < cell.right]
    for bar in [*across, None]:
        above = [cell for cell in rest if bar is None or cell.middle < bar.middle]
        rest = [cell for cell in rest if bar is not None and cell.middle >= bar.middle]
        left = [cell for cell in above if cell.right <= gutter]
        right = [cell for cell in above if cell.right > gutter]
        parts += [part for part in (left, right) if part]
        if bar is not None and not above and parts and _lies_across(parts[-1], gutter):
            parts[-1].append(bar)
        elif bar is not None:
            parts.append([bar])
    return parts


def _lies_across(part: list[Cell], gutter: float) -> bool:
    return part[-1].left < gutter < part[-1].right


def _gutter(cells: list[Cell], height: float) -> float | None:
    """The middle of the best gap between two columns of prose."""
    start, end = min(cell.left for cell in cells), max(cell.right for cell in cells)
    step = max(height / 4, (end - start) / 4000, 1e-6)
    changes = [0] * (int((end - start) / step) + 2)
    for cell in cells:
        changes[int((cell.left - start) / step)] += 1
        changes[int((cell.right - start) / step) + 1 if cell.right < end else -1] -= 1
    across = list(itertools.accumulate(changes))[:-1]
    for most in sorted({n for n in across if n <= _MOST_ACROSS * len(cells)}):
        for middle in _middles(across, most, math.ceil(_GUTTER * height / step)):
            if _parts_prose(cells, start + middle * step):
                return start + middle * step
    return None


def _middles(across: Sequence[int], most: int, n_least: int) -> list[float]:
    """Of the widest stretches across which no more boxes lie; those at the edges are none."""
    found, begun = list[tuple[int, float]](), 0
    for at, n_across in enumerate([*across, most + 1]):
        if n_across > most:
            if begun and at - begun >= n_least and at < len(across):
                found.append((begun - at, (begun + at) / 2))
            begun = at + 1
    return [middle for _, middle in sorted(found)[:_MOST_TRIED]]


def _parts_prose(cells: list[Cell], gutter: float) -> bool:
    """Whether lines of text stand on both sides of it, beside each other, and not the cells of a table."""
    left = [cell for cell in cells if cell.right <= gutter]
    right = [cell for cell in cells if cell.left >= gutter]
    if min(len(left), len(right)) < 2:
        return False
    if not (_is_prose(left) and _is_prose(right)):
        return False
    (top, bottom), (other_top, other_bottom) = (
        (min(cell.top for cell in side), max(cell.bottom for cell in side)) for side in (left, right)
    )
    beside = min(bottom, other_bottom) - max(top, other_top)
    return beside > 0.5 * min(bottom - top, other_bottom - other_top)


def _is_prose(cells: Sequence[Cell]) -> bool:
    """Whether lines are long, and most about as long as their column is wide."""
    width = statistics.median(cell.width for cell in cells)
    return width >= max(
        _PROSE * statistics.median(cell.height for cell in cells), _FULL * max(cell.width for cell in cells)
    )


def _widest_gap(cells: list[Cell], height: float) -> float | None:
    """Where the page is best cut across: the lower end of what stands above the widest gap."""
    widest, cut, lowest = _BAND_GAP * height, None, math.inf
    for cell in sorted(cells, key=lambda cell: cell.top):
        if cell.top - lowest > widest:
            widest, cut = cell.top - lowest, lowest
        lowest = cell.bottom if lowest == math.inf else max(lowest, cell.bottom)
    return cut
