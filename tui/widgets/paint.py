"""Drawing one line of a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style

from tui.rows import Line
from tui.widgets.block import HEADER

BAR = "▌ "
ROWS_OF_A_BLOCK = 1 << 24
"""A selection's y is the block's index times this, plus the row's number."""


@dataclass(frozen=True, slots=True)
class Brush:
    """The styles that lines are drawn with.

    Attributes:
        outside: between the blocks.
        base: of the whole block.
        bar: of the bar at its left.
        selection: of selected text.
        style_of: a style by its name.
    """

    outside: Style
    base: Style
    bar: Style
    selection: Style
    style_of: Callable[[str | Style], Style]


def paint(brush: Brush, line: Line, index: int, width: int, selection: Selection | None = None) -> Strip:
    """One line as a strip.

    Args:
        brush: the styles.
        line: what is drawn.
        index: the block's place in the conversation.
        width: cells, the bar included.
        selection: what the mouse has selected.
    """
    row, number, start, end = line
    if number == HEADER and not row.content:
        return Strip([Segment(" " * width, brush.outside.rich_style)])
    fill = brush.base + brush.style_of(row.fill) if row.fill else brush.base
    content = row.content
    y = index * ROWS_OF_A_BLOCK + number
    if selection is not None and number != HEADER and (span := selection.get_span(y)) is not None:
        content = content.stylize(brush.selection, span[0], len(content) if span[1] == -1 else span[1])
    segments = [Segment(BAR, brush.bar.rich_style)]
    for text, style in row.left.render(fill, end="", parse_style=brush.style_of):
        segments.append(Segment(text, (fill + style).rich_style))
    if start:
        segments.append(Segment(" " * row.hang, fill.rich_style))
    for text, style in content[start:end].render(fill, end="", parse_style=brush.style_of):
        segments.append(Segment(text, _rich_style(fill + style, start, None if number == HEADER else y)))
        start += len(text)
    return Strip(segments).adjust_cell_length(width, fill.rich_style)


def _rich_style(style: Style, x: int, y: int | None) -> RichStyle:
    """A style that knows its place in the text, from which Textual makes selections."""
    return style.rich_style if y is None else style.rich_style_with_offset(x, y)
