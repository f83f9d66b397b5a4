"""Documents cut into passages: what is indexed, found, put into the context and cited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgeai.documents.cuts import Lines, Piece, pieces
from edgeai.documents.types import Block, Document

TARGET_CHARS = 900


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that can be understood alone.

    Attributes:
        path: the document's file.
        title: the document's.
        ordinal: its place among the document's passages, from 0.
        text: as it stands in the document: blocks with blank lines between them, behind what is repeated.
        headings: those that it stands under, the outermost first.
        first_page: where it begins, from 1; None where there are no pages.
        last_page: where it ends.
        first_line: of a text file, where it begins, from 1; None where there are no lines.
        last_line: where it ends.
        glue: what stands between the passage before and this one.
        repeated: the first characters of the text that stand in a passage before too: a table's head row.
        lines: places in the text and their lines, in order; from each on, line breaks are the file's. Empty where there
            are no lines, or the passage was stored before this was kept.
    """

    path: Path
    title: str
    ordinal: int
    text: str
    headings: tuple[str, ...] = ()
    first_page: int | None = None
    last_page: int | None = None
    first_line: int | None = None
    last_line: int | None = None
    glue: str = "\n\n"
    repeated: int = 0
    lines: Lines = ()

    def line_of(self, place: int) -> int | None:
        """The line that a place in the text stands in; None where there are no lines."""
        if self.first_line is None:
            return None
        marks = self.lines or ((self.repeated, self.first_line),)
        start, line = max((mark for mark in marks if mark[0] <= place), default=marks[0])
        return line + self.text.count("\n", start, max(place, start))


@dataclass(slots=True)
class _Group:
    """Pieces that will be one passage."""

    pieces: list[Piece] = field(default_factory=list)
    size: int = 0

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.size += piece.size + 2

    def without_last_headings(self) -> list[Piece]:
        """Take the headings off its end, unless there is nothing else: they belong to what follows."""
        n_left = len(self.pieces)
        while n_left and self.pieces[n_left - 1].block.kind == "heading":
            n_left -= 1
        if not n_left:
            return []
        taken, self.pieces = self.pieces[n_left:], self.pieces[:n_left]
        return taken


def passages(document: Document, target_chars: int = TARGET_CHARS) -> list[Passage]:
    """Cut and join a document's blocks; the same document always gives the same passages.

    Args:
        document: what was read.
        target_chars: how long a passage may be, in characters of English (a Japanese one counts as three); 900 are
            some 200 to 300 tokens.
    Returns:
        Passages in order. None crosses from one page to the next (but for a heading at a page's end), nor from one
        outermost heading to the next, unless the part before is tiny.
    """
    groups = [_Group()]
    for block, first_row in _blocks(document):
        for piece in pieces(block, target_chars, first_row):
            if _ends(groups[-1], piece, target_chars):
                group = _Group()
                for heading in groups[-1].without_last_headings():
                    group.add(heading)
                groups.append(group)
            groups[-1].add(piece)
    filled = [group.pieces for group in groups if group.pieces]
    return [_passage(document, ordinal, group) for ordinal, group in enumerate(filled)]


def index_text(passage: Passage) -> str:
    """What a passage is found by: its text, the headings over it, and the document's title."""
    above = [heading for heading in passage.headings if heading not in passage.text]
    return "\n".join([passage.title, *above, passage.text])


def _blocks(document: Document) -> Iterator[tuple[Block, int | None]]:
    """Blocks with the line of the first row under the head, of tables that were made from rows.

    Such a table comes in blocks, each with the same head; the first one's line is the head's, the others' the row's.
    """
    head: int | None = None
    for block in document.blocks:
        if document.kind != "csv" or block.kind != "table" or block.line is None:
            yield block, None
        elif head is None:
            head = block.line
            yield block, head + 1
        else:
            yield replace(block, line=head), block.line


def _ends(group: _Group, piece: Piece, target: int) -> bool:
    """Whether a passage ends before this piece."""
    if not group.pieces or all(held.block.kind == "heading" for held in group.pieces):
        return group.size + piece.size > 2 * target
    if piece.block.page != group.pieces[-1].block.page:
        return True  # a citation names one page
    if piece.repeated or group.size + piece.size > target:
        return True
    if _top(piece) != _top(group.pieces[-1]):
        return group.size > target // 8
    return piece.block.kind == "heading" and group.size > target // 2


def _top(piece: Piece) -> str | None:
    """The outermost heading that a piece stands under, or is."""
    block = piece.block
    if block.headings:
        return block.headings[0]
    return block.text if block.kind == "heading" else None


def _passage(document: Document, ordinal: int, group: list[Piece]) -> Passage:
    pages = [piece.block.page for piece in group if piece.block.page is not None]
    lines = [line for piece in group for line in (piece.first_line, piece.last_line) if line is not None]
    text, places = _joined(group)
    return Passage(
        path=document.path,
        title=document.title,
        ordinal=ordinal,
        text=text,
        headings=_headings(group),
        first_page=min(pages, default=None),
        last_page=max(pages, default=None),
        first_line=min(lines, default=None),
        last_line=max(lines, default=None),
        glue=group[0].glue,
        repeated=group[0].repeated,
        lines=places,
    )


def _joined(group: Iterable[Piece]) -> tuple[str, Lines]:
    """A table's later rows begin a passage, so what is repeated stands at the start alone."""
    text, lines = "", list[tuple[int, int]]()
    for piece in group:
        text += piece.glue if text else ""
        lines += [(len(text) + place, line) for place, line in piece.lines]
        text += piece.text
    return text, tuple(lines)


def _headings(group: list[Piece]) -> tuple[str, ...]:
    for piece in group:
        if piece.block.kind != "heading":
            return piece.block.headings
    block = group[-1].block
    return (*block.headings, block.text)
