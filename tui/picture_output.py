"""Pictures in plain output."""

from __future__ import annotations

import shutil
import sys

from edgeai.media import Medium
from tui.graphics import graphics
from tui.graphics_protocols import kitty, sixel
from tui.half_blocks import HalfBlocks
from tui.output import console, wants_color
from tui.picture_pixels import cells_for, pixels_of


def print_picture(medium: Medium, *, columns: int = 60, rows: int = 20) -> None:
    """Show a picture on stdout, if that is a terminal with colours.

    Args:
        medium: the picture.
        columns: that it may take.
        rows: likewise.
    """
    if not wants_color(sys.stdout):
        return
    there = shutil.get_terminal_size()
    columns, rows = min(columns, there.columns), max(1, min(rows, there.lines - 2))
    can = graphics()
    if can.way == "blocks":
        console().print(HalfBlocks(medium, columns, rows))
        return
    columns, rows = cells_for(medium.size, columns, rows, can.cell)
    image = pixels_of(medium, can.pixels(columns, rows))
    drawn = kitty(image, columns, rows) if can.way == "kitty" else sixel(image)
    # The rows are made first, so that nothing scrolls while it is drawn, and the cursor is put below them.
    sys.stdout.write("\n" * rows + f"\x1b[{rows}A\x1b7{drawn}\x1b8\x1b[{rows}B\r")
    sys.stdout.flush()
