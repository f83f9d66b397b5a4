"""A block: one message or notice of a conversation, as lines for a given width. It is not a widget."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Literal

from textual.content import Content
from textual.strip import Strip

from edgeai.documents.types import Citation
from edgeai.safe_text import one_line
from tui.markdown import MarkdownStream, parse_markdown
from tui.markdown_rows import Document
from tui.rows import EMPTY, Flexible, Line, Row, text_rows, tidy, wrap_rows
from tui.sources import distinct, source_line

Kind = Literal["user", "assistant", "notice", "error"]

HEADER = -1
"""The number of lines that are no part of the text: they are neither selected nor copied."""


class Block:
    """One message or notice.

    Attributes:
        key: the stored message's id, or None while it has none.
        kind: who speaks; it chooses the colours.
        note: said beside the title (speed, why it ended).
        branch: which of how many siblings this is, from 1; (1, 1) shows nothing.
        sources: where the statements of an answer stand; listed under it.
        pictures: shown above the text.
        strips: lines that were drawn, by line number; cleared when they change.
    """

    def __init__(
        self,
        kind: Kind,
        text: str = "",
        *,
        title: str = "",
        key: Hashable = None,
        note: str = "",
        branch: tuple[int, int] = (1, 1),
        sources: Sequence[Citation] = (),
        pictures: Sequence[Flexible] = (),
        streaming: bool = False,
    ) -> None:
        self.kind: Kind = kind
        self.key = key
        self.title = title
        self.note = note
        self.branch = branch
        self.sources = distinct(sources)
        self.pictures = pictures
        self.strips: dict[int, Strip] = {}
        self._text = text
        self._stream = MarkdownStream() if streaming else None
        self._finished, self._rest = Document(), Document()
        self._parsed = streaming
        self._width = 0
        self._guess: tuple[int, int] | None = None
        self._lines: list[Line] = []
        self._wrapped: list[Line] = []  # those of the finished rows
        self._n_wrapped = 0
        self._first_source = 0  # the number of its row

    @property
    def text(self) -> str:
        """What was written, exactly."""
        return self._stream.source if self._stream is not None else self._text

    @property
    def streaming(self) -> bool:
        """Whether it is still being written."""
        return self._stream is not None

    @property
    def code(self) -> list[str]:
        """The source of its code blocks."""
        self._parse()
        return [*self._finished.code, *self._rest.code]

    def shows_same(self, other: Block) -> bool:
        """Whether another block would look the same."""
        names = ("kind", "text", "title", "note", "branch", "sources", "pictures", "streaming")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def append(self, text: str) -> None:
        """More of a text that is being written."""
        assert self._stream is not None
        self._finished, self._rest = self._stream.append(text)
        self.invalidate()

    def finish(self, text: str, sources: Sequence[Citation] = ()) -> None:
        """The whole text; it does not change any more."""
        self._text, self._stream, self.sources = text, None, distinct(sources)
        self._parsed, self._width, self._guess = False, 0, None
        self.invalidate()

    def invalidate(self) -> None:
        """Something that it shows has changed."""
        self._lines = []
        self.strips.clear()

    def lines(self, width: int) -> list[Line]:
        """Its lines at a width in cells: the title, the text, an empty line."""
        if width != self._width:
            self._width = width
            self._wrapped, self._n_wrapped = [], 0
            self.invalidate()
        if not self._lines:
            self._parse()
            body = self._body(width)
            shown = [*self._header(), *self._picture_lines(width), *body, *self._source_lines(body, width)]
            self._lines = [*shown, Line(Row(EMPTY), HEADER, 0, 0)]
        return self._lines

    def is_laid_out(self, width: int) -> bool:
        """Whether `height` is exact and costs nothing."""
        return bool(self._lines) and width == self._width

    def height(self, width: int) -> int:
        """Its lines at a width; a guess where the text was not needed yet."""
        if self.is_laid_out(width):
            return len(self._lines)
        if not self._guess or self._guess[0] != width:
            n_lines = self._text.count("\n") + len(self._text) // max(width, 1) + len(self.sources)
            self._guess = (width, 3 + n_lines)
        return self._guess[1]

    def rows_text(self, start: int = 0, end: int | None = None) -> Iterator[str]:
        """The text of its rows, as they are shown at the last width but without wrapping."""
        last = HEADER
        for line in self._lines:
            if line.number > last:
                last = line.number
                if start <= last and (end is None or last <= end):
                    yield line.row.content.plain.rstrip()

    def source_at(self, number: int, x: int) -> int | None:
        """The source that is named at a character of a row: in the list, or by its mark in the text."""
        if not self.sources or number < 0:
            return None
        if number >= self._first_source:
            return min(number - self._first_source, len(self.sources) - 1)
        row = next(self.rows_text(number, number), "")
        for index, source in enumerate(self.sources):
            mark = f"[{source.label}]"
            start = row.find(mark)
            while start >= 0:
                if start <= x < start + len(mark):
                    return index
                start = row.find(mark, start + 1)
        return None

    def safe_text(self) -> str:
        """What was written, without anything a terminal could act on: for the clipboard."""
        return tidy(self.text)

    def _header(self) -> Iterator[Line]:
        if not self.title:
            return
        parts: list[Content | tuple[str, str]] = [(one_line(self.title), f".block-{self.kind}")]
        index, count = self.branch
        if count > 1:
            parts.append((f"  ‹ {index}/{count} ›", ".block-branch"))
        if self.note:
            parts.append((f"  {one_line(self.note)}", ".block-note"))
        row = Row(Content.assemble(*parts))
        yield Line(row, HEADER, 0, len(row.content))

    def _picture_lines(self, width: int) -> Iterator[Line]:
        for picture in self.pictures:
            for row in picture.rows(width):
                yield Line(row, HEADER, 0, len(row.content))

    def _body(self, width: int) -> list[Line]:
        new = self._finished.rows[self._n_wrapped :]
        self._wrapped += wrap_rows(new, width, _next_number(self._wrapped))
        self._n_wrapped = len(self._finished.rows)
        lines = self._wrapped + wrap_rows(self._rest.rows, width, _next_number(self._wrapped))
        while lines and not lines[-1].row.content and not lines[-1].row.fill:
            lines.pop()
        return lines

    def _source_lines(self, body: list[Line], width: int) -> list[Line]:
        """The list of sources, after an empty row."""
        if not self.sources:
            return []
        texts = [source_line(number, source) for number, source in enumerate(self.sources, 1)]
        number = _next_number(body)
        self._first_source = number + 1
        rows = [Row(Content.styled(text, ".block-source"), hang=4) for text in texts]
        return wrap_rows([Row(EMPTY), *rows], width, number)

    def make_rows(self) -> list[Row | Flexible]:
        """The rows of a text that is no Markdown."""
        return list(text_rows(self._text))

    def _parse(self) -> None:
        if self._parsed:
            return
        if self.kind == "assistant":
            self._finished = parse_markdown(self._text)
        else:
            self._finished = Document(self.make_rows())
        self._rest, self._parsed = Document(), True
        self._wrapped, self._n_wrapped = [], 0


def _next_number(lines: list[Line]) -> int:
    return lines[-1].number + 1 if lines else 0
