"""Many blocks in one widget that draws only the lines on the screen.

Nothing is mounted for a block, so that 2,000 turns open like two. The height of a block that was never on the screen
is a guess; when it comes into view its real height replaces the guess and what the reader looks at stays in place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import ClassVar

from textual import events
from textual.geometry import Offset, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style

from tui.widgets.block import Block
from tui.widgets.paint import BAR, ROWS_OF_A_BLOCK, Brush, paint

MAX_TEXT_WIDTH = 120
"""Cells; longer lines are hard to read on."""


class BlockView(ScrollView, can_focus=True):
    """Blocks that one scrolls through and selects text in."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(
            f"block-{name}"
            for name in ("user", "assistant", "notice", "error", "note", "branch", "source", "question", "selected")
        ),
        *(f"md-h{level}" for level in range(1, 7)),
        *(f"md-{name}" for name in ("code", "code-label", "code-inline", "link", "bullet", "quote-bar", "dim")),
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.blocks: list[Block] = []
        self.selected: int | None = None
        self.follows = True
        self._tops: list[int] = [0]

    # --- content ---

    def show(self, blocks: Iterable[Block]) -> None:
        """Show another conversation, at its end."""
        self.selected = None
        self.follows = True
        self.replace_from(0, blocks)

    def replace_from(self, index: int, blocks: Iterable[Block]) -> None:
        """Other blocks from an index on; what is above stays where it is."""
        self.blocks[index:] = blocks
        if self.selected is not None and self.selected >= len(self.blocks):
            self.selected = len(self.blocks) - 1 if self.blocks else None
        if self.text_selection is not None:
            self.screen.clear_selection()
        self.lay_out()

    def add(self, *blocks: Block) -> None:
        """More blocks at the end, and the view goes there."""
        self.blocks += blocks
        self.follows = True
        self.lay_out()

    def changed(self, block: Block) -> None:
        """A block's text, title or note was changed."""
        block.invalidate()
        self.lay_out()

    # --- where things are ---

    @property
    def text_width(self) -> int:
        """Cells for the text of a block."""
        return max(min(self.scrollable_content_region.width - len(BAR) - 1, MAX_TEXT_WIDTH), 4)

    @property
    def n_visible(self) -> int:
        """Lines on the screen."""
        return self.scrollable_content_region.height

    def top_of(self, index: int) -> int:
        """The first line of a block."""
        return self._tops[index]

    def block_at(self, y: int) -> int:
        """The index of the block that has line y of the whole conversation; -1 where there is none."""
        return min(bisect_right(self._tops, y), len(self.blocks)) - 1

    def _measure(self) -> None:
        width = self.text_width
        self._tops = [0, *accumulate(block.height(width) for block in self.blocks)]
        self.virtual_size = Size(self.scrollable_content_region.width, self._tops[-1])

    def lay_out(self) -> None:
        """Lay out what is visible: at the end while the reader is there, else so that nothing moves."""
        if not self.n_visible:
            return
        if self.follows:
            self._lay_out_end()
            self._measure()
            self._jump(self.max_scroll_y)
        else:
            self._measure()
            self._settle()
        self.refresh()

    def _lay_out_end(self) -> None:
        width, missing = self.text_width, self.n_visible
        for block in reversed(self.blocks):
            if missing <= 0:
                break
            missing -= len(block.lines(width))

    def _settle(self) -> None:
        """Give the visible blocks their real heights; what the reader looks at stays where it is."""
        width = self.text_width
        while self.blocks:
            top = self.scroll_offset.y
            first, last = self.block_at(top), self.block_at(top + self.n_visible - 1)
            unknown = [block for block in self.blocks[first : last + 1] if not block.is_laid_out(width)]
            if not unknown:
                return
            # Blocks above the first known one grow upwards, those below it downwards.
            known = (i for i in range(first, last + 1) if self.blocks[i].is_laid_out(width))
            fixed = next(known, first)
            offset = self._tops[fixed] - top
            for block in unknown:
                block.lines(width)
            self._measure()
            self._jump(self._tops[fixed] - offset)

    def _jump(self, y: int) -> None:
        """Set the position without the watcher, which would settle again."""
        y = max(0, min(y, self.max_scroll_y))
        self.set_reactive(BlockView.scroll_y, float(y))
        self.set_reactive(BlockView.scroll_target_y, float(y))
        self.vertical_scrollbar.position = y

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.follows = round(new_value) >= self.max_scroll_y
        self._settle()

    def on_resize(self, event: events.Resize) -> None:
        """Wrap again; the line at the top stays in its block."""
        if self.blocks and not self.follows:
            top = max(0, self.block_at(self.scroll_offset.y))
            within = self.scroll_offset.y - self._tops[top]
            n_lines = len(self.blocks[top].lines(self.text_width))
            self._measure()
            self._jump(self._tops[top] + min(within, n_lines - 1))
        self.lay_out()

    # --- drawing ---

    def render_line(self, y: int) -> Strip:
        """Line y of the screen."""
        y += self.scroll_offset.y
        width = self.scrollable_content_region.width
        index = self.block_at(y)
        if index < 0 or y >= self._tops[-1]:
            return Strip.blank(width, self.rich_style)
        block = self.blocks[index]
        lines = block.lines(self.text_width)
        n_line = min(y - self._tops[index], len(lines) - 1)
        selection = self.text_selection
        if selection is not None:
            return paint(self._brush(index), lines[n_line], index, width, selection)
        if n_line not in block.strips:
            block.strips[n_line] = paint(self._brush(index), lines[n_line], index, width)
        return block.strips[n_line]

    def _brush(self, index: int) -> Brush:
        base, kind = self.visual_style, self.blocks[index].kind
        if index == self.selected:
            base += self._style_of(".block-selected")
        elif kind == "user":
            base += self._style_of(".block-question")
        bar = base + self._style_of(f".block-{kind}")
        selection = Style.from_styles(self.screen.get_component_styles("screen--selection"))
        return Brush(self.visual_style, base, bar, selection, self._style_of)

    def _style_of(self, style: str | Style) -> Style:
        """A style by the name of a component class (".md-code") or in Textual's words ("bold $accent")."""
        if isinstance(style, Style):
            return style
        if not style.startswith("."):
            return self.app.stylesheet.parse_style(style)
        styles = self.get_component_styles(style[1:])
        text_style = styles.text_style
        return Style(
            background=styles.background if styles.has_rule("background") else None,
            foreground=styles.color if styles.has_rule("color") else None,
            bold=text_style.bold,
            underline=text_style.underline,
        )

    def notify_style_update(self) -> None:
        """The theme has changed: draw everything again."""
        super().notify_style_update()
        for block in self.blocks:
            block.strips.clear()

    # --- selecting text with the mouse ---

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, without the line ends that wrapping made."""
        start, end = selection.start or Offset(0, 0), selection.end
        last = len(self.blocks) - 1 if end is None else min(end.y // ROWS_OF_A_BLOCK, len(self.blocks) - 1)
        indices = range(start.y // ROWS_OF_A_BLOCK, last + 1)
        return "\n\n".join("\n".join(self._selected_rows(index, start, end)) for index in indices), "\n"

    def _selected_rows(self, index: int, start: Offset, end: Offset | None) -> Iterator[str]:
        block = self.blocks[index]
        block.lines(self.text_width)
        for y, text in enumerate(block.rows_text(), index * ROWS_OF_A_BLOCK):
            if y >= start.y and (end is None or y <= end.y):
                left = start.x if y == start.y else 0
                right = end.x if end is not None and y == end.y else len(text)
                yield text[left:right]

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the selection."""
        self.refresh()
