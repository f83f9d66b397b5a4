"""Every key in its group, and a few words on what stays where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.screens.dialog import CANCEL, Dialog

ABOUT = (
    (
        "Files",
        "Type @ to choose a file below the current folder. Its text becomes part of your message. Hidden folders and "
        "build output are left out of the list.",
    ),
    (
        "Documents",
        "/doc PATH, F2, or a file dropped on the window adds a document to the conversation; so does @ before the "
        "name of a PDF or another file that is no plain text. The model reads it once and keeps what it has "
        "evaluated. /doc remove NAME takes it away; without anything, /doc shows all.",
    ),
    (
        "Pictures",
        "/image PATH, F8, a picture dropped on the window, or @ before its name lets it go with your next message. A "
        "model that sees gets the picture; another gets what is written in it. /image remove takes it away.",
    ),
    (
        "Sources",
        "Where an answer names its sources, they stand below it. A click, or its number with the answer chosen, opens "
        "the passage beside it.",
    ),
    (
        "Branches",
        "Editing an earlier message, or asking for another answer, starts a branch. The old one stays, and you can "
        "go back to it.",
    ),
    (
        "Privacy",
        "Everything happens on this device: the model, your questions and the answers. The chat opens no network "
        "connection. Conversations are kept in one file in your data folder and go nowhere else.",
    ),
)


class HelpScreen(Dialog[None]):
    """Dismisses with nothing.

    Args:
        groups: bindings by the name of their group, as the widgets' own BINDINGS have them; those without a
            description are left out.
        about: what else there is to know, by its heading.
    """

    DEFAULT_CSS = """
    HelpScreen {
        & #dialog-box { width: 84; height: 90%; max-height: 50; }
        & #help { height: 1fr; scrollbar-size-vertical: 1; }
        & .group { height: auto; margin-bottom: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll('up')", show=False),
        Binding("down,j", "scroll('down')", show=False),
        Binding("f1,question_mark,q", "cancel", show=False),
        Binding(CANCEL.key, CANCEL.action, "Close"),
    ]

    def __init__(self, groups: Mapping[str, Sequence[BindingType]], about: Sequence[tuple[str, str]] = ABOUT) -> None:
        super().__init__("Help")
        self._groups, self._about = groups, about

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            for name, bindings in self._groups.items():
                yield Static(self._group(name, Binding.make_bindings(bindings)), classes="group")
            for name, text in self._about:
                yield Static(Content.assemble((name, "bold $text-accent"), "\n", text), classes="group")

    def on_mount(self) -> None:
        self.query_one("#help").focus()

    def _group(self, name: str, bindings: Iterable[Binding]) -> Content:
        """One line a command, with all its keys."""
        keys: dict[str, list[str]] = {}
        for binding in bindings:
            if meaning := binding.tooltip or binding.description:
                keys.setdefault(meaning, []).append(self.app.get_key_display(binding))
        lines = [
            Content.assemble((" / ".join(names).ljust(26), "bold"), " ", meaning) for meaning, names in keys.items()
        ]
        return Content("\n").join([Content.styled(name, "bold $text-accent"), *lines])
