"""The line above the prompt: the documents that the conversation is about."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.content import Content
from textual.message import Message

from tui.chat_documents import ChatDocument
from tui.widgets.chip_bar import MAX_NAME, ChipBar


class DocumentBar(ChipBar):
    """A chip for each document, and for each library."""

    SEE_ALL = "(F3)"

    class Clicked(Message):
        """The user wants to see the documents."""

    def show(self, documents: Iterable[ChatDocument], libraries: Iterable[str] = ()) -> None:
        """These are the documents, and the names of libraries that are searched, too."""
        self.chips = (*map(chip, documents), *map(library_chip, libraries))

    def on_click(self, event: events.Click) -> None:
        """Show them in full."""
        event.stop()
        self.post_message(self.Clicked())


def chip(item: ChatDocument) -> Content:
    """Its name, how long it is, whether it is ready."""
    style = {"missing": "$text-warning", "evaluated": "$text-success", "cached": "$text-success"}.get(item.state, "")
    facts = f" {item.facts}" if item.facts else ""
    name = Content.styled(item.name, "$text").truncate(MAX_NAME, ellipsis=True)
    return Content.assemble(("▤ ", "$text-accent"), name, (facts, style or "$text-muted"))


def library_chip(name: str) -> Content:
    """Its name; nothing of a library is ever evaluated beforehand."""
    return Content.assemble(("▤ ", "$text-accent"), (name, "$text"), (" library · searched", "$text-muted"))
