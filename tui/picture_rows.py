"""A picture as rows of text that scroll with it: half blocks, or kitty's placeholders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.color import Color
from textual.content import Content
from textual.style import Style

from edgeai.media import Medium
from tui.graphics import Graphics
from tui.graphics_protocols import kitty, kitty_forget, new_image_number, placeholders
from tui.half_blocks import CELL, half_block_rows
from tui.picture_facts import MAX_COLUMNS, MAX_ROWS
from tui.picture_pixels import cells_for, pixels_of
from tui.rows import Row


def small(medium: Medium, can: Graphics) -> Medium:
    """As many of its pixels as are ever shown: those of a photograph would fill the memory."""
    cell = can.cell if can.way == "kitty" else CELL
    columns, rows = cells_for(medium.size, MAX_COLUMNS, MAX_ROWS, cell)
    size = min(columns * cell[0], medium.width), min(rows * cell[1], medium.height)
    return Medium.picture(pixels_of(medium, size).tobytes(), *size)


class PictureRows:
    """A picture of at most MAX_COLUMNS by MAX_ROWS cells.

    Sixel pictures would not scroll and be covered with the text around them, so those terminals get half blocks.
    """

    def __init__(self, medium: Medium, can: Graphics, write: Callable[[str], object]) -> None:
        """
        Args:
            medium: the picture; see `small`.
            can: what the terminal can show.
            write: sends to the terminal what is no text.
        """
        self._medium = medium
        self._can = can
        self._write = write
        self._number = new_image_number() if can.way == "kitty" else 0
        self._cells: tuple[int, int] | None = None
        self._rows: list[Row] = []

    def rows(self, width: int) -> Sequence[Row]:
        """Its rows in so many columns."""
        cell = self._can.cell if self._number else CELL
        cells = cells_for(self._medium.size, max(1, min(MAX_COLUMNS, width)), MAX_ROWS, cell)
        if cells != self._cells:
            self._cells, self._rows = cells, [Row(content) for content in self._made(*cells)]
        return self._rows

    def forget(self) -> None:
        """Let the terminal free it; it is sent again where it is needed."""
        if self._number and self._cells:
            self._write(kitty_forget(self._number))
        self._cells = None

    def _made(self, columns: int, rows: int) -> list[Content]:
        if not self._number:
            return [
                Content.assemble(
                    *((text, Style.from_rich_style(style)) for text, style, _ in segments if style is not None)
                )
                for segments in half_block_rows(self._medium, columns, rows)
            ]
        image = pixels_of(self._medium, self._can.pixels(columns, rows))
        self._write(kitty(image, columns, rows, number=self._number))
        number = Style(foreground=Color(*self._number.to_bytes(3, "big")))
        return [Content.styled(placeholders(columns, row), number) for row in range(rows)]
