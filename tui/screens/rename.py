"""A new title for a conversation."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from edgeai.safe_text import one_line
from tui.screens.dialog import CANCEL, Dialog

MAX_TITLE = 200


class RenameScreen(Dialog["str | None"]):
    """Dismisses with the new title, or None when it was left as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "save", "Rename", priority=True), CANCEL]

    def __init__(self, title: str) -> None:
        super().__init__("Rename the conversation")
        self._old = one_line(title)

    def compose_body(self) -> ComposeResult:
        yield Input(self._old, placeholder="Title", max_length=MAX_TITLE)

    def action_save(self) -> None:
        title = " ".join(one_line(self.query_one(Input).value).split())
        self.dismiss(title if title and title != self._old else None)
