"""Quality against speed or size in a terminal: points with their names on a grid of characters."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from quantize.report import Report, drawn_klds, names, pareto

_MARGIN = 10  # characters left of the grid, for the numbers
_BEST, _BEATEN = "●", "○"

Point = tuple[float, float, str, str]  # x, y, mark, name


def text_plot(reports: Sequence[Report], *, width: int = 72, height: int = 16) -> list[str]:
    """Divergence (logarithmic, lower is better) against decoding speed, or against size where no speed was measured.

    Args:
        reports: those without `quality` are left out.
        width: characters of a line.
        height: lines of the grid.
    Returns:
        Lines, the best artifacts marked ● and those that another beats ○; none where nothing was measured.
    """
    measured = [report for report in reports if report.quality is not None]
    if not measured:
        return []
    by_speed = all(report.speed for report in measured)
    best = pareto(measured)
    points = [
        _point(report, name, kld, by_speed, _BEST if report in best else _BEATEN)
        for report, name, kld in zip(measured, names(measured), drawn_klds(measured), strict=True)
    ]
    label = "decode, tokens/s →" if by_speed else "size, MB"
    return ["KL divergence, nats ↓", *_grid(points, max(width - _MARGIN, 20), max(height, 4)), label.rjust(width)]


def _point(report: Report, name: str, kld: float, by_speed: bool, mark: str) -> Point:
    x = report.speed.decode_tokens_per_s if by_speed and report.speed else report.size_bytes / 1e6
    return x, math.log10(kld), mark, name


def _grid(points: Sequence[Point], width: int, height: int) -> list[str]:
    low_x, high_x = _range([x for x, *_ in points])
    low_y, high_y = _range([y for _, y, *_ in points])
    cells = [[" "] * width for _ in range(height)]
    places = []
    for x, y, mark, name in sorted(points, reverse=True):
        column = round((x - low_x) / (high_x - low_x) * (width - 1))
        row = round((high_y - y) / (high_y - low_y) * (height - 1))
        cells[row][column] = mark
        places.append((row, column, name))
    for row, column, name in places:
        _put_name(cells, row, column, name)
    lines = []
    for index, row_cells in enumerate(cells):
        value = 10 ** (high_y - (high_y - low_y) * index / (height - 1))
        number = f"{value:.2g}" if index % 4 == 0 or index == height - 1 else ""
        lines.append(f"{number:>{_MARGIN - 2}} │{''.join(row_cells)}".rstrip())
    n_digits = 0 if high_x - low_x >= 10 else 1
    axis = f"{low_x:,.{n_digits}f}".ljust(width - 8) + f"{high_x:>8,.{n_digits}f}"
    return [*lines, " " * (_MARGIN - 1) + "└" + "─" * width, " " * _MARGIN + axis]


def _put_name(cells: list[list[str]], row: int, column: int, name: str) -> None:
    """A point's name goes right of it, or left where there is no room, on the nearest line that is free."""
    width = len(cells[0])
    text = [" ", *_cells(name, width // 2 - 3), " "]  # at one side there is half the width
    for near in sorted(range(len(cells)), key=lambda index: abs(index - row))[:3]:
        for start in (column + 1, column - len(text)):
            place = slice(start, start + len(text))
            if start >= 0 and start + len(text) <= width and set(cells[near][place]) == {" "}:
                cells[near][place] = text
                return


def _cells(name: str, most: int) -> list[str]:
    """What stands in each column. A wide character has two: itself, and nothing beside it."""
    cells = [cell for char in name for cell in ([char, ""] if unicodedata.east_asian_width(char) in "WF" else [char])]
    return cells if len(cells) <= most else [*cells[: most // 2], "…", *cells[len(cells) - (most - 1 - most // 2) :]]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """What an axis shows: the values with a little room, never nothing."""
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
    return low - room, high + room
