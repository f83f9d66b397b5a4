"""The conversation: blocks that keys walk through, and what can be done with each."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.message import Message
from textual.selection import Selection

from tui.widgets.block import Block
from tui.widgets.block_view import BlockView
from tui.widgets.paint import ROWS_OF_A_BLOCK


class Conversation(BlockView):
    """The blocks of one conversation. With the focus on it, keys choose a block and act on it."""

    DEFAULT_CSS = """
    Conversation {
        height: 1fr;
        padding: 0 1;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        & .block-user { color: $primary; text-style: bold; }
        & .block-assistant { color: $accent; text-style: bold; }
        & .block-notice { color: $secondary; text-style: bold; }
        & .block-error { color: $error; text-style: bold; }
        & .block-note { color: $foreground 55%; }
        & .block-branch { color: $secondary; }
        & .block-source { color: $secondary; }
        & .block-question { background: $surface; }
        & .block-selected { background: $panel; }
        & .md-h1, & .md-h2, & .md-h3, & .md-h4, & .md-h5, & .md-h6 { color: $accent; text-style: bold; }
        & .md-h1 { text-style: bold underline; }
        & .md-code { background: $foreground 6%; }
        & .md-code-label { color: $foreground 55%; }
        & .md-code-inline { color: $warning; background: $foreground 6%; }
        & .md-link { text-style: underline; color: $secondary; }
        & .md-bullet { color: $accent; }
        & .md-quote-bar { color: $secondary; }
        & .md-dim { color: $foreground 45%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "walk(1)", "Move", key_display="j/k", tooltip="Next and previous block"),
        Binding("ctrl+down,alt+down", "walk(1)", "Next block", show=False),
        Binding("k,ctrl+up,alt+up", "walk(-1)", "Previous block", show=False),
        Binding("y", "block('copy')", "Copy", tooltip="Copy the block"),
        Binding("c", "block('copy_code')", "Code", tooltip="Copy the code in it"),
        Binding("e", "block('edit')", "Edit", tooltip="Write your message anew, as a branch"),
        Binding("r", "block('regenerate')", "Again", tooltip="Make another answer, as a branch"),
        Binding("x", "block('export')", "Export", tooltip="Write the block to a file"),
        Binding("X,shift+x", "block('export_all')", "Export all", show=False, tooltip="Write all of it to a file"),
        Binding("s", "source(0)", "Sources", key_display="s/1–9", tooltip="Open a source of the answer"),
        *(Binding(str(number), f"source({number - 1})", show=False) for number in range(1, 10)),
        Binding("left", "block('previous_branch')", "Branch", key_display="←→", tooltip="Show another branch"),
        Binding("right", "block('next_branch')", "Next branch", show=False),
        Binding("g", "select(0)", "First block", show=False),
        Binding("G,shift+g", "select(-1)", "Last block", show=False),
        Binding("escape", "leave", "Write", tooltip="Back to the prompt"),
        Binding("i,enter", "leave", "Back to the prompt", show=False),
    ]

    @dataclass
    class BlockAction(Message):
        """Something is to be done with a block: copy, copy_code, edit, regenerate, export, previous_branch …"""

        action: str
        block: Block

    @dataclass
    class SourceRequested(Message):
        """A source of an answer is to be opened."""

        block: Block
        index: int

    class Left(Message):
        """The user wants to write again."""

    @property
    def selected_block(self) -> Block | None:
        """The block that keys act on."""
        return self.blocks[self.selected] if self.selected is not None else None

    def find(self, key: Hashable) -> int | None:
        """The index of the block with this key."""
        return next((index for index, block in enumerate(self.blocks) if block.key == key), None)

    def select(self, index: int | None) -> None:
        """Choose a block and bring it into view; None chooses none."""
        self._mark(index)
        if index is not None:
            self._bring_into_view(index)

    def _mark(self, index: int | None) -> None:
        for changed in (self.selected, index):
            if changed is not None and changed < len(self.blocks):
                self.blocks[changed].strips.clear()
        self.selected = index
        self.refresh()

    def _bring_into_view(self, index: int) -> None:
        """Scroll so that the block is seen: whole where it fits, else from its title on."""
        self.blocks[index].lines(self.text_width)
        self._measure()
        top, bottom = self.top_of(index), self.top_of(index + 1)
        view_top = self.scroll_offset.y
        if top < view_top or bottom - top >= self.n_visible:
            self.scroll_to(y=top, animate=False)
        elif bottom > view_top + self.n_visible:
            self.scroll_to(y=bottom - self.n_visible, animate=False)

    # --- keys and mouse ---

    def on_focus(self) -> None:
        """Start at the last block on the screen, which stays where it is: the focus may come with a click."""
        if self.blocks and self.selected is None:
            self._mark(self.block_at(self.scroll_offset.y + self.n_visible - 1))

    async def _on_click(self, event: events.Click) -> None:
        event.prevent_default()  # the base class selects the whole conversation on a double click
        index = self.block_at(event.y - self.gutter.top + self.scroll_offset.y)
        if index < 0:
            return
        if event.chain == 2:
            first = index * ROWS_OF_A_BLOCK
            self.screen.selections = {self: Selection(Offset(0, first), Offset(0, first + ROWS_OF_A_BLOCK - 1))}
        elif self.text_selection is None:
            self.select(index)
            self._open_source_at(index, event)

    def _open_source_at(self, index: int, event: events.Click) -> None:
        """Open the source whose mark or line was clicked."""
        _, place = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)
        block = self.blocks[index]
        source = None if place is None else block.source_at(place.y - index * ROWS_OF_A_BLOCK, place.x)
        if source is not None:
            self.post_message(self.SourceRequested(block, source))

    def action_walk(self, step: int) -> None:
        """Choose the block before or after."""
        if self.blocks:
            index = len(self.blocks) if self.selected is None else self.selected
            self.select(max(0, min(index + step, len(self.blocks) - 1)))

    def action_select(self, index: int) -> None:
        """Choose a block by its index, from the end where it is negative."""
        if self.blocks:
            self.select(index % len(self.blocks))

    def action_block(self, action: str) -> None:
        """Ask for something to be done with the chosen block."""
        if (block := self.selected_block) is not None:
            self.post_message(self.BlockAction(action, block))

    def action_source(self, index: int) -> None:
        """Open a source of the chosen block."""
        block = self.selected_block
        if block is not None and index < len(block.sources):
            self.post_message(self.SourceRequested(block, index))

    def action_leave(self) -> None:
        """Give the focus back to the prompt."""
        self.select(None)
        self.post_message(self.Left())
