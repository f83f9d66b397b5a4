"""The prompt editor: several lines, recall of what was sent, `@` for a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from tui.dropped_paths import may_be_paths
from tui.rows import tidy

PLACEHOLDER = "Write a message"


class PromptEditor(TextArea):
    """Enter sends; Shift+Enter, Alt+Enter or Ctrl+J starts a new line."""

    DEFAULT_CSS = """
    PromptEditor {
        height: auto;
        min-height: 1;
        max-height: 10;
        border: none;
        padding: 0;
        background: $surface;
        scrollbar-size-vertical: 1;
        & .text-area--cursor-line { background: transparent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # Enter is handled as a key, because the text area takes it before any binding; this line shows it.
        Binding("enter", "submit", "Send", show=True),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", show=False),
        Binding("pageup", "screen.page(-1)", "Page up", show=False),
        Binding("pagedown", "screen.page(1)", "Page down", show=False),
    ]

    @dataclass
    class Submitted(Message):
        """The user sends this text."""

        text: str

    @dataclass
    class PathsPasted(Message):
        """What was pasted may be the paths of files that were dropped; `paste_text` is there for what is not."""

        text: str

    class FileRequested(Message):
        """An `@` was typed where a file's name can stand."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id, soft_wrap=True, show_line_numbers=False, tab_behavior="focus", compact=True, placeholder=PLACEHOLDER
        )
        self.highlight_cursor_line = False
        self._sent: list[str] = []
        self._recalled: int | None = None
        self._draft = ""

    def set_sent(self, texts: Iterable[str]) -> None:
        """What the up arrow brings back, the oldest first."""
        self._sent = list(texts)
        self._recalled = None

    def write(self, text: str) -> None:
        """Replace the text and go to its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    # --- keys ---

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_submit()
            return
        await super()._on_key(event)
        event.prevent_default()  # the base class has just had it
        if event.character == "@" and self._at_word_start():
            self.post_message(self.FileRequested())

    def _at_word_start(self) -> bool:
        """Whether the `@` before the cursor starts a word."""
        row, column = self.cursor_location
        before = self.document.get_line(row)[: max(0, column - 1)]
        return not before or before[-1].isspace()

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        if may_be_paths(event.text):
            self.post_message(self.PathsPasted(event.text))
        else:
            self.paste_text(event.text)

    def paste_text(self, text: str) -> None:
        """Insert a text in place of the selection."""
        if result := self._replace_via_keyboard(tidy(text), *self.selection):
            self.move_cursor(result.end_location)

    def action_submit(self) -> None:
        """Send what is written."""
        if self.text.strip():
            self._recalled = None
            self.post_message(self.Submitted(self.text))

    def action_newline(self) -> None:
        """Start a new line."""
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        """Move up; above the first line, bring back what was sent before."""
        if not select and self.navigator.is_first_wrapped_line(self.selection.end):
            self._recall(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Move down; below the last line of a recalled text, go back towards the draft."""
        if not select and self._recalled is not None and self.navigator.is_last_wrapped_line(self.selection.end):
            self._recall(1)
        else:
            super().action_cursor_down(select)

    def _recall(self, step: int) -> None:
        if self._recalled is None:
            self._recalled, self._draft = len(self._sent), self.text
        index = self._recalled + step
        if index < 0 or not self._sent:
            return
        if index >= len(self._sent):
            self._recalled = None
            self.write(self._draft)
        else:
            self._recalled = index
            self.write(self._sent[index])
        if step < 0:
            self.move_cursor((0, 0))
