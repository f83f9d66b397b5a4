"""The documents of a conversation: seen in full, added to, taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static

from edgeai.safe_text import one_line
from tui.chat_documents import ChatDocument
from tui.screens.dialog import CANCEL, Dialog


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be done: a document taken away, or others added."""

    action: Literal["add", "remove"]
    document: ChatDocument | None = None


class DocumentList(Dialog["Choice | None"]):
    """Dismisses with what is to be done, or None.

    Args:
        documents: of the conversation.
        libraries: names of those that are searched for every conversation.
    """

    DEFAULT_CSS = """
    DocumentList {
        & #dialog-box { width: 100; }
        & OptionList, & OptionList:focus {
            height: auto;
            max-height: 20;
            border: none;
            padding: 0;
            background: $surface;
            background-tint: $foreground 0%;
            text-wrap: nowrap;
            text-overflow: ellipsis;
        }
        & #note { margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "Add a document"),
        Binding("d,delete", "remove", "Remove", key_display="d"),
        Binding(CANCEL.key, CANCEL.action, "Close"),
    ]

    def __init__(self, documents: Sequence[ChatDocument], libraries: Sequence[str] = ()) -> None:
        super().__init__("Documents of this conversation")
        self._documents = documents
        self._libraries = libraries

    def compose_body(self) -> ComposeResult:
        if self._documents:
            yield OptionList(*map(_lines, self._documents), markup=False)
        yield Static(self._note(), id="note", classes="muted", markup=False)

    def _note(self) -> str:
        if not self._documents:
            words = "There is none yet. A adds one; /doc PATH in the prompt, or a file dropped on the window, does too."
        elif self._libraries:
            words = "Each question looks for passages of them, as a library is searched too."
        elif any(item.state == "searched" for item in self._documents):
            words = "Each question looks for passages of them: whole, they do not fit the context window."
        else:
            words = "The model reads them before the conversation."
        if self._documents:
            words += " What is removed stays on the disk."
        names = ", ".join(self._libraries)
        return f"{words}\nSearched for every conversation: {names}." if names else words

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing can be removed where there is nothing."""
        return bool(self._documents) if action == "remove" else True

    def action_add(self) -> None:
        self.dismiss(Choice("add"))

    def action_remove(self) -> None:
        for choices in self.query(OptionList):
            if choices.highlighted is not None:
                self.dismiss(Choice("remove", self._documents[choices.highlighted]))


def _lines(item: ChatDocument) -> Content:
    """Its name, below it how long it is, whether it is ready, and its folder."""
    facts = f"{item.facts}  " if item.facts else ""
    folder = one_line(str(item.path.parent))
    return Content.assemble((item.name, "bold"), "\n  ", facts, (folder, "dim"))
