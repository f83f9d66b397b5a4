"""Markdown to rows of styled text, also while it is still being written.

A whole answer is one list of rows that a single widget draws. (Textual's own Markdown widget mounts a widget for each
paragraph, list item and table cell: some 40 ms of work for one answer, and 70 ms for each piece of a streamed one,
which a keyboard echo under 50 ms does not allow.)

Nothing in the source is trusted: HTML is shown as text, links show where they lead and cannot be clicked, and no text
ever passes through Textual's or rich's markup.
"""

from __future__ import annotations

from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from textual.content import Content

from tui.markdown_rows import MAX_NESTING, Document, RowBuilder
from tui.rows import Row, tidy

MAX_MARKDOWN = 200_000
"""Characters; a longer text is shown as it is written."""


class MarkdownStream:
    """A document that grows. Only its last block (paragraph, list, code …) is read again when text is added."""

    def __init__(self) -> None:
        self.source = ""
        self._finished = Document()
        self._n_finished = 0

    def append(self, text: str) -> tuple[Document, Document]:
        """Add text; gives the blocks that stay as they are and those that may still change."""
        self.source += text
        clean = tidy(self.source)
        rest = clean[self._n_finished :]
        if len(clean) > MAX_MARKDOWN:
            return self._finished, _as_written(rest)
        tokens = _parser().parse(rest)
        last, n_lines = _last_block(tokens, rest.count("\n"))
        if last:
            self._finished.extend(RowBuilder(rest).build(tokens[:last]))
            self._n_finished += len("".join(rest.splitlines(keepends=True)[:n_lines]))
        return self._finished, RowBuilder(rest, highlighted=not _in_long_code(tokens[last:])).build(tokens[last:])


def parse_markdown(source: str) -> Document:
    """The document of a finished text."""
    clean = tidy(source)
    if len(clean) > MAX_MARKDOWN:
        return _as_written(clean)
    return RowBuilder(clean).build(_parser().parse(clean))


def _as_written(text: str) -> Document:
    return Document([Row(Content(line)) for line in text.split("\n")])


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Without references a line such as "[1]: https://…" stays visible, and no block depends on a later one.
    return (
        MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
        .enable(["table", "strikethrough"])
        .disable("reference")
    )


def _last_block(tokens: list[Token], n_whole: int) -> tuple[int, int]:
    """Where the last block starts, as a token and as a line.

    A block that starts on the line that is still being written does not count: `*` may become a list, or `**bold**`
    that goes on with the block above.
    """
    last = (0, 0)
    for index, token in enumerate(tokens):
        if token.level == 0 and token.nesting >= 0 and token.map is not None and token.map[0] < n_whole:
            last = (index, token.map[0])
    return last


def _in_long_code(tokens: list[Token]) -> bool:
    """Whether a long code block is being written, which is coloured only when it is finished."""
    return bool(tokens) and tokens[0].type == "fence" and len(tokens[0].content) > 2_000
