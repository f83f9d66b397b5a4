"""A cited passage beside the answer, its quote emphasised."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from edgeai.documents.types import Citation
from tui.rows import EMPTY, Flexible, Row, text_rows, tidy
from tui.sources import heading_text
from tui.widgets.block import Block
from tui.widgets.block_view import BlockView

_MAX_WORDS = 400
"""Of a quote that is looked for word by word."""


class SourceView(BlockView):
    """The sources of one answer, one at a time. The parent listens for `Left`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"source-quote", "source-heading"}
    DEFAULT_CSS = """
    SourceView {
        display: none;
        width: 45%;
        max-width: 90;
        height: 100%;
        padding: 1 1 0 1;
        background: $surface;
        border-left: vkey $panel;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        & .block-notice { color: $accent; text-style: bold; }
        & .block-note { color: $foreground 55%; }
        & .source-heading { color: $secondary; text-style: bold; }
        & .source-quote { background: $accent 30%; color: $foreground; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right", "step(1)", "Next", key_display="n/→", tooltip="Next source"),
        Binding("p,left", "step(-1)", "Previous", key_display="p/←", tooltip="Previous source"),
        Binding("escape,q", "leave", "Close", key_display="esc", tooltip="Close the source"),
    ]

    class Left(Message):
        """The user has seen enough."""

    def __init__(self) -> None:
        super().__init__()
        self._sources: Sequence[Citation] = ()
        self._index = 0

    def open(self, sources: Sequence[Citation], index: int) -> None:
        """Show one of an answer's sources."""
        self._sources, self._index = sources, index % len(sources)
        note = f"{self._index + 1} of {len(sources)}" if len(sources) > 1 else ""
        self.show([PassageBlock(sources[self._index], note)])
        self.follows = False
        self.call_after_refresh(self._to_quote)

    def _to_quote(self) -> None:
        """Bring the quote into view, with a few lines before it."""
        if not self.blocks or not self.n_visible:
            return
        self.lay_out()
        line = self.blocks[0].quote_line(self.text_width) if isinstance(self.blocks[0], PassageBlock) else 0
        self.scroll_to(y=max(0, line - self.n_visible // 3), animate=False)
        self.follows = False

    def action_step(self, step: int) -> None:
        """Show the next or the previous source."""
        if self._sources:
            self.open(self._sources, self._index + step)

    def action_leave(self) -> None:
        """Close it."""
        self.post_message(self.Left())


class PassageBlock(Block):
    """A passage as a block, with the quote in another colour.

    Args:
        source: what is shown.
        note: said beside its label.
    """

    def __init__(self, source: Citation, note: str) -> None:
        super().__init__("notice", source.passage or source.quote, title=source.label, note=note)
        self._source = source
        self._quote_row: Row | None = None
        self._quote_at = 0

    def quote_line(self, width: int) -> int:
        """The line in which the quote begins."""
        for index, line in enumerate(self.lines(width)):
            if line.row is self._quote_row and line.start <= self._quote_at <= line.end:
                return index
        return 0

    def make_rows(self) -> list[Row | Flexible]:
        """The headings, then the passage; the quote before it where it does not stand in it."""
        rows: list[Row | Flexible] = []
        if headings := heading_text(self._source):
            rows += [Row(Content.styled(headings, ".source-heading")), Row(EMPTY)]
        text = tidy(self.text)
        span = quote_span(text, tidy(self._source.quote))
        if span is None:
            quoted = [Row(row.content.stylize(".source-quote")) for row in text_rows(self._source.quote)]
            return [*rows, *quoted, Row(EMPTY), *text_rows(text)]
        start = 0
        for line in text.split("\n"):
            first, last = (min(max(place - start, 0), len(line)) for place in span)
            row = Row(Content(line).stylize(".source-quote", first, last) if first < last else Content(line))
            if first < last and self._quote_row is None:
                self._quote_row, self._quote_at = row, first
            rows.append(row)
            start += len(line) + 1
        return rows


def quote_span(text: str, quote: str) -> tuple[int, int] | None:
    """Where a quote stands in a text; line breaks and spaces may differ."""
    quote = quote.strip()
    if not quote:
        return None
    if (start := text.find(quote)) >= 0:
        return start, start + len(quote)
    words = quote.split()
    if len(words) > _MAX_WORDS:
        return None
    found = re.search(r"\s+".join(map(re.escape, words)), text)
    return found.span() if found else None
