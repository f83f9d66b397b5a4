"""The password of an encrypted document."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from edgeai.safe_text import one_line
from tui.screens.dialog import CANCEL, Dialog


class PasswordScreen(Dialog["str | None"]):
    """Dismisses with the password, or None. It is used once and stored nowhere.

    Args:
        name: the file's; shown inertly.
        again: whether one was tried that does not open it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open", "Open", priority=True), CANCEL]

    def __init__(self, name: str, *, again: bool = False) -> None:
        super().__init__("Password")
        self._name = one_line(name)
        self._again = again

    def compose_body(self) -> ComposeResult:
        problem = "does not open with that password" if self._again else "is encrypted"
        yield Static(f"{self._name} {problem}.", markup=False, classes="error" if self._again else "")
        yield Input(placeholder="Its password", password=True)

    def action_open(self) -> None:
        """Enter is told at once, what was typed before it waits in the field's own queue: this waits behind it."""
        self.query_one(Input).call_later(self._open)

    def _open(self) -> None:
        if password := self.query_one(Input).value:
            self.dismiss(password)
