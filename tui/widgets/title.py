"""The top line: the conversation's title."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from edgeai.safe_text import one_line


class TitleBar(Widget):
    """One line: our name and the title."""

    DEFAULT_CSS = """
    TitleBar {
        height: 1;
        padding: 0 1;
        background: $panel;
    }
    """

    title: reactive[str] = reactive("")

    def render(self) -> Content:
        """The title, cut where it is too long."""
        brand = Content.styled("▞ edgeai", "bold $accent")
        title = Content.assemble(("  " + one_line(self.title), "$text-muted")) if self.title else Content("")
        return (brand + title).truncate(self.content_size.width, ellipsis=True)
