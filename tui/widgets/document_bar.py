"""The line above the prompt: the documents that the conversation is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.chat_documents import ChatDocument

_BETWEEN = "   "
_MAX_NAME = 36  # cells; what follows it matters more than its end


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

    def show(self, documents: Iterable[ChatDocument], libraries: Iterable[str] = ()) -> None:
        """These are the documents, and the names of libraries that are searched, too."""
        self.chips = (*map(chip, documents), *map(library_chip, libraries))
        self.display = bool(self.chips)

    def render(self) -> Content:
        """The chips that fit, and the number of the others."""
        width, chips = self.content_size.width, self.chips
        if not chips:
            return Content("")
        n_shown = _n_fitting([chip.cell_length for chip in chips], width)
        line = Content(_BETWEEN).join(chips[:n_shown]) + Content.styled(_more(len(chips) - n_shown), "$text-muted")
        return line.truncate(width, ellipsis=True)

    def on_click(self, event: events.Click) -> None:
        """Show them in full."""
        event.stop()
        self.post_message(self.Clicked())


def _n_fitting(lengths: Sequence[int], width: int) -> int:
    """How many chips fit beside the number of the others; one is shown whatever its length."""
    n_fitting, end = 1, 0
    for n_shown, length in enumerate(lengths, 1):
        end += length
        if end + len(_more(len(lengths) - n_shown)) <= width:
            n_fitting = n_shown
        end += len(_BETWEEN)
    return n_fitting


def _more(n_left: int) -> str:
    return f"{_BETWEEN}+{n_left} (F3)" if n_left else ""


def chip(item: ChatDocument) -> Content:
    """Its name, how long it is, whether it is ready."""
    style = {"missing": "$text-warning", "evaluated": "$text-success", "cached": "$text-success"}.get(item.state, "")
    facts = f" {item.facts}" if item.facts else ""
    name = Content.styled(item.name, "$text").truncate(_MAX_NAME, ellipsis=True)
    return Content.assemble(("▤ ", "$text-accent"), name, (facts, style or "$text-muted"))


def library_chip(name: str) -> Content:
    """Its name; nothing of a library is ever evaluated beforehand."""
    return Content.assemble(("▤ ", "$text-accent"), (name, "$text"), (" library · searched", "$text-muted"))
