"""The line above the prompt: the documents that the conversation is about."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.chat_documents import ChatDocument

_BETWEEN = "   "


class DocumentBar(Widget):
    """One line; it is not there without documents. What does not fit is counted at its end."""

    DEFAULT_CSS = """
    DocumentBar {
        display: none;
        height: 1;
        padding: 0 2;
        background: $surface;
    }
    """

    chips: reactive[tuple[Content, ...]] = reactive(())

    class Clicked(Message):
        """The user wants to see the documents."""

    def show(self, documents: Iterable[ChatDocument]) -> None:
        """These are the documents."""
        self.chips = tuple(map(chip, documents))
        self.display = bool(self.chips)

    def render(self) -> Content:
        """The chips that fit, and the number of the others."""
        width, chips = self.content_size.width, self.chips
        for n_shown in range(len(chips), 0, -1):
            more = f"{_BETWEEN}+{len(chips) - n_shown}" if n_shown < len(chips) else ""
            line = Content(_BETWEEN).join(chips[:n_shown]) + Content.styled(more, "$text-muted")
            if line.cell_length <= width or n_shown == 1:
                break
        else:
            return Content("")
        return line.truncate(width, ellipsis=True)

    def on_click(self, event: events.Click) -> None:
        """Show them in full."""
        event.stop()
        self.post_message(self.Clicked())


def chip(item: ChatDocument) -> Content:
    """Its name, how long it is, whether it is ready."""
    style = {"missing": "$text-warning", "evaluated": "$text-success", "cached": "$text-success"}.get(item.state, "")
    facts = f" {item.facts}" if item.facts else ""
    return Content.assemble(("▤ ", "$text-accent"), (item.name, "$text"), (facts, style or "$text-muted"))
