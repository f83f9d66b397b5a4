"""A question that is answered with yes or no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Static

from edgeai.safe_text import plain
from tui.screens.dialog import Dialog


class ConfirmScreen(Dialog[bool]):
    """Dismisses with True for yes. The focus starts on no, so that a hasty Enter loses nothing.

    Args:
        question: may hold a title or path from outside; shown inertly.
        yes_label: what yes does, as a verb ("Delete").
    """

    DEFAULT_CSS = """
    ConfirmScreen {
        & #dialog-box { width: 60; }
        & #question { margin: 1 0; max-height: 12; }
        & #answers { height: auto; align-horizontal: right; }
        & Button { margin-left: 2; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n", "answer(False)", "No"),
        Binding("left,up", "app.focus_previous", "Previous", show=False),
        Binding("right,down", "app.focus_next", "Next", show=False),
        Binding("escape", "answer(False)", "Cancel"),
    ]

    def __init__(self, question: str, yes_label: str = "Yes") -> None:
        super().__init__("Please confirm")
        self._question = question
        self._yes_label = yes_label

    def compose_body(self) -> ComposeResult:
        yield Static(plain(self._question), markup=False, id="question")
        with Horizontal(id="answers"):
            yield Button("Cancel", id="no", compact=True)
            yield Button(self._yes_label, id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
