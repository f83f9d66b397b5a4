"""Pictures as half blocks: two pixels in each cell, on any terminal with colours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from edgeai.media import Medium
from tui.picture_pixels import cells_for, pixels_of

CELL = (1, 2)
"""Width and height of a cell, pixels."""

_UPPER_HALF = "▀"
RGB = tuple[int, int, int]


def half_block_rows(medium: Medium, columns: int, rows: int) -> list[list[Segment]]:
    """A picture as so many rows of cells, each exactly so wide."""
    image = pixels_of(medium, (columns * CELL[0], rows * CELL[1]))
    data = image.tobytes()
    pixels = [(data[at], data[at + 1], data[at + 2]) for at in range(0, len(data), 3)]
    lines = [pixels[at : at + columns] for at in range(0, len(pixels), columns)]
    return [list(_row(zip(*pair, strict=True))) for pair in zip(lines[::2], lines[1::2], strict=True)]


def _row(cells: Iterator[tuple[RGB, RGB]]) -> Iterator[Segment]:
    for (upper, lower), same in groupby(cells):
        yield Segment(_UPPER_HALF * len(list(same)), _style(upper, lower))


@lru_cache(4096)
def _style(upper: RGB, lower: RGB) -> Style:
    return Style.from_color(Color.from_rgb(*upper), Color.from_rgb(*lower))


class HalfBlocks:
    """A picture for a rich console."""

    def __init__(self, medium: Medium, columns: int, rows: int) -> None:
        """
        Args:
            medium: the picture.
            columns: that it may take.
            rows: likewise.
        """
        self._medium = medium
        self._columns = columns
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for row in half_block_rows(self._medium, *self._cells(options)):
            yield from row
            yield Segment.line()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        columns = self._cells(options)[0]
        return Measurement(columns, columns)

    def _cells(self, options: ConsoleOptions) -> tuple[int, int]:
        return cells_for(self._medium.size, min(self._columns, options.max_width), self._rows, CELL)
