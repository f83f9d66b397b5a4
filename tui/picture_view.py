"""Pictures in the application."""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from edgeai.media import Medium
from tui.graphics import Graphics
from tui.graphics_protocols import MAX_PLACEHOLDERS, kitty, kitty_forget, new_image_number, placeholders
from tui.half_blocks import CELL, half_block_rows
from tui.picture_pixels import cells_for, pixels_of


class PictureView(Widget):
    """A picture, as large as its columns and `max_rows` allow: by kitty's protocol or as half blocks.

    Sixel pictures would not scroll and be covered with the text around them, so they are none of the application's.
    """

    DEFAULT_CSS = """
    PictureView { width: auto; height: auto; }
    """

    def __init__(
        self, medium: Medium, *, max_columns: int = 60, max_rows: int = 20, can: Graphics | None = None
    ) -> None:
        """
        Args:
            medium: the picture.
            max_columns: that it may take.
            max_rows: likewise.
            can: what the terminal can show; None: half blocks.
        """
        super().__init__()
        self.medium = medium
        self._max = min(max_columns, MAX_PLACEHOLDERS), min(max_rows, MAX_PLACEHOLDERS)
        self._can = can or Graphics()
        self._number = new_image_number() if self._can.way == "kitty" else 0
        self._shown: tuple[int, int] | None = None
        self._rows: list[Strip] = []

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return self._cells(container.width)[0]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._cells(width)[1]

    def render_line(self, y: int) -> Strip:
        cells = self._cells(self.size.width)
        if cells != self._shown:
            self._shown, self._rows = cells, self._made(*cells)
        row = self._rows[y] if y < len(self._rows) else Strip.blank(cells[0])
        return row.extend_cell_length(self.size.width, self.rich_style).crop(0, self.size.width)

    def on_unmount(self) -> None:
        if self._shown and self._number:
            self._write(kitty_forget(self._number))

    def _cells(self, width: int) -> tuple[int, int]:
        cell = self._can.cell if self._number else CELL
        return cells_for(self.medium.size, max(1, min(self._max[0], width)), self._max[1], cell)

    def _made(self, columns: int, rows: int) -> list[Strip]:
        if not self._number:
            return [Strip(row, columns) for row in half_block_rows(self.medium, columns, rows)]
        image = pixels_of(self.medium, self._can.pixels(columns, rows))
        self._write(kitty(image, columns, rows, number=self._number))
        number = Style.from_color(Color.from_rgb(*self._number.to_bytes(3, "big")))
        return [Strip([Segment(placeholders(columns, row), number)], columns) for row in range(rows)]

    def _write(self, text: str) -> None:
        driver = self.app._driver  # Textual has no other way to send what is no cell
        if driver is not None:
            driver.write(text)
