"""What a format hands over: blocks, pieces of them where they are long, and signs of life."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from edgeai.documents.reading import tables
from edgeai.documents.reading.limits import MAX_BLOCKS, MAX_PAGES, MAX_TEXT_BYTES
from edgeai.documents.reading.wire import MAX_LEVEL, Began, Finished, Part, Parts, Scan, Working
from edgeai.documents.types import BlockKind
from edgeai.errors import DocumentError
from edgeai.safe_text import plain

_MAX_BLOCK_CHARS = 20_000
_MAX_HEADING_CHARS = 300
_BATCH_CHARS = 200_000
_BATCH_BLOCKS = 2_000
_TELL_S = 0.1
_BREAKS = str.maketrans({"\x0b": "\n", "\x0c": "\n", "\x1c": " ", "\x85": "\n", "\u2028": "\n", "\u2029": "\n"})


class Output:
    """Takes a document's blocks in their order.

    Attributes:
        kind: what the document is read as; set before the first block.
        title: its own; "" where it has none.
        n_pages: pages, slides or sheets; set before the first block.
        page: the present one, from 1.
        pages_without_text: pages that hold pictures alone.
    """

    def __init__(self, send: Callable[[msgspec.Struct], None]) -> None:
        """`send` gets the replies of wire.py."""
        self.kind = ""
        self.title = ""
        self.n_pages: int | None = None
        self.page: int | None = None
        self.pages_without_text: list[int] = []
        self._send = send
        self._parts: list[Part] = []
        self._n_batch_chars = 0
        self._n_bytes = 0
        self._n_blocks = 0
        self._began = False
        self._told = time.monotonic()

    def heading(self, level: int, text: str, line: int | None = None) -> None:
        """A heading. `level`: 1 is the outermost."""
        words = " ".join(plain(text.translate(_BREAKS)).split())[:_MAX_HEADING_CHARS]
        if words:
            self._add(words, "heading", min(max(level, 1), MAX_LEVEL), line)

    def text(self, text: str, line: int | None = None) -> None:
        """A paragraph, or several; its lines are the file's where `line`, the first one's number, is given."""
        self._pieces(text, "text", line)

    def code(self, text: str, line: int | None = None) -> None:
        """Code, or other text whose lines must stay."""
        self._pieces(text, "code", line)

    def table(self, rows: Iterable[Sequence[str]], line: int | None = None) -> None:
        """A table, whose first row is its head; a long one in several blocks with the same head."""
        for text, n_before in tables.markdown(rows):
            self._pieces(text, "table", None if line is None else line + n_before)

    def written_table(self, text: str, line: int | None) -> None:
        """A table that is Markdown already."""
        self._pieces(text, "table", line)

    def scan(self, width: int, height: int, pixels: bytes) -> None:
        """The present page as a picture; see `wire.Scan`. Its text will stand here."""
        assert self.page is not None
        self._flush()
        self._send(Scan(self.page, width, height, pixels))

    def progress(self, n_done: int, n_total: int) -> None:
        """A sign of life; call it often."""
        now = time.monotonic()
        if now - self._told >= _TELL_S or n_done == n_total:
            self._begin()
            self._told = now
            limit = 2**31 - 1
            self._send(Working(min(n_done, n_total, limit), min(n_total, limit)))

    def finish(self) -> None:
        """All was handed over."""
        self._flush()
        self._send(Finished(plain(self.title)[:_MAX_HEADING_CHARS], self.pages_without_text))

    def _pieces(self, text: str, kind: BlockKind, line: int | None) -> None:
        if line is None:
            text = text.translate(_BREAKS)
        for piece, n_lines_before in _cut(text):
            stripped = plain(piece).strip("\n")
            if not stripped.strip():
                continue
            n_blank = len(piece) - len(piece.lstrip("\n"))
            self._add(stripped, kind, 0, None if line is None else line + n_lines_before + n_blank)

    def _add(self, text: str, kind: BlockKind, level: int, line: int | None) -> None:
        self._n_bytes += len(text.encode())
        self._n_blocks += 1
        if self._n_bytes > MAX_TEXT_BYTES or self._n_blocks > MAX_BLOCKS:
            raise DocumentError(
                f"it holds more than {MAX_TEXT_BYTES // 2**20:,} MiB of text or {MAX_BLOCKS:,} paragraphs: expected a "
                "document that can be searched and cited; split it into smaller files"
            )
        self._parts.append(Part(text, kind, level, self.page, line))
        self._n_batch_chars += len(text)
        if self._n_batch_chars >= _BATCH_CHARS or len(self._parts) >= _BATCH_BLOCKS:
            self._flush()

    def _begin(self) -> None:
        if not self._began:
            if (self.n_pages or 0) > MAX_PAGES:
                raise DocumentError(f"it has {self.n_pages:,} pages: expected at most {MAX_PAGES:,}; split it")
            self._began = True
            self._send(Began(self.kind, self.n_pages))

    def _flush(self) -> None:
        self._begin()
        if self._parts:
            self._send(Parts(self._parts))
            self._parts, self._n_batch_chars = [], 0
            self._told = time.monotonic()


def _cut(text: str) -> Iterator[tuple[str, int]]:
    """Pieces of a long text, cut at line breaks where there are any, each with how many line breaks precede it."""
    start, n_lines = 0, 0
    while len(text) - start > _MAX_BLOCK_CHARS:
        end = start + _MAX_BLOCK_CHARS
        for mark in ("\n\n", "\n", "。", ". ", " "):
            found = text.rfind(mark, start + _MAX_BLOCK_CHARS // 2, end)
            if found >= 0:
                end = found + len(mark)
                break
        yield text[start:end], n_lines
        n_lines += text.count("\n", start, end)
        start = end
    yield text[start:], n_lines
