"""Where a long block can be cut: at sentence ends, between rows, at blank lines; else between words, or anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgeai.documents.types import Block

Span = tuple[int, int]
Lines = tuple[tuple[int, int], ...]
"""Places in a text, and the numbers of the lines they stand in."""

# Each looks behind for the mark instead of matching a run of marks: a line of a million dots costs no more than others.
SENTENCE_END = re.compile(
    r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？｡])(?![。！？｡])[」』）〉》】”’)\]]*\s*|\n[ \t]*\n\s*"
)
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_LINE_END = re.compile(r"\n")
_SPACE = re.compile(r"\s+")
_RULE_ROW = re.compile(r"[|:\-\s]+")
_N_HEAD_ROWS = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a block that goes into one passage.

    Attributes:
        text: the part, as it stands in the block, behind what is repeated.
        block: where it comes from.
        glue: what stands between the piece before and this one.
        repeated: the table's head row, at the start of the text; the number of characters.
        first_line: in the source, from 1; None where there are no lines.
        last_line: the same of its end.
        lines: the same of places in the text, the first of them its start: from each on, line breaks are the source's.
    """

    text: str
    block: Block
    glue: str = "\n\n"
    repeated: int = 0
    first_line: int | None = None
    last_line: int | None = None
    lines: Lines = ()

    @property
    def size(self) -> int:
        """Its length as `size` measures it."""
        return size(self.text)


def size(text: str) -> int:
    """A length that follows the number of tokens in any script: UTF-8 bytes (a Japanese character counts as three)."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def pieces(block: Block, limit: int, first_row: int | None = None) -> Iterator[Piece]:
    """A block in pieces of at most `limit` (nearly: scripts may be mixed); the whole block, where it is not longer.

    Args:
        block: what is cut.
        limit: as `size` measures it.
        first_row: of a table that was made from rows (CSV), the line of the first one under its head: the rule under
            the head is no line of the source.
    """
    text = block.text
    fits = size(text) <= limit
    head = "" if fits or block.kind != "table" else _head(text, limit)
    spans = _stripped(block, [(0, len(text))] if fits else _spans(block, limit - size(head)))
    before = n_breaks = 0
    for start, end in spans:
        repeated = head if before else ""
        n_start = n_breaks + text.count("\n", before, start)
        n_breaks = n_start + text.count("\n", start, end)
        first_line, last_line = _line(block, n_start, first_row), _line(block, n_breaks, first_row)
        if first_row is not None and n_start < _N_HEAD_ROWS and first_row - 1 != block.line:
            first_line = first_row  # its head stands far above
        lines = _lines(block, text[start:end], n_start, len(repeated), first_row)
        glue = text[before:start] if before else "\n\n"
        yield Piece(repeated + text[start:end], block, glue, len(repeated), first_line, last_line, lines)
        before = end


def _line(block: Block, n_breaks: int, first_row: int | None) -> int | None:
    """The line of the source that stands behind so many line breaks of a block."""
    if block.line is None or first_row is None:
        return None if block.line is None else block.line + n_breaks
    return block.line if n_breaks < _N_HEAD_ROWS else first_row + n_breaks - _N_HEAD_ROWS


def _lines(block: Block, part: str, n_breaks: int, repeated: int, first_row: int | None) -> Lines:
    """Where the lines of a part of a block are counted from, behind what is repeated."""
    line = _line(block, n_breaks, first_row)
    if line is None or block.line is None:
        return ()
    lines = [(0, block.line)] if repeated else []
    lines.append((repeated, line))
    if first_row is not None and n_breaks < _N_HEAD_ROWS:
        rows = part.split("\n", _N_HEAD_ROWS - n_breaks)
        if len(rows) > _N_HEAD_ROWS - n_breaks:
            lines.append((repeated + len(part) - len(rows[-1]), first_row))
    return tuple(lines)


def _head(text: str, limit: int) -> str:
    """The first row of a Markdown table with the rule under it, unless it is too long to be repeated."""
    first_end = text.find("\n") + 1
    rule_end = text.find("\n", first_end) + 1
    if first_end and rule_end and _RULE_ROW.fullmatch(text, first_end, rule_end):
        first_end = rule_end
    return text[:first_end] if size(text[:first_end]) <= limit // 3 else ""


def _spans(block: Block, limit: int) -> Iterator[Span]:
    """Each as long as the limit allows."""
    best = {"table": (), "code": (_BLANK_LINES,)}.get(block.kind, (SENTENCE_END,))
    text = block.text
    return _packed(text, _split(text, [(0, len(text))], limit, (*best, _LINE_END, _SPACE)), limit)


def _stripped(block: Block, spans: Iterable[Span]) -> Iterator[Span]:
    """Without the blanks around them, but for the indentation of code; without those that are all blank."""
    around = "\n" if block.kind == "code" else None
    for start, end in spans:
        part = block.text[start:end]
        if n := len(part.rstrip()):
            yield start + len(part) - len(part.lstrip(around)), start + n


def _split(text: str, spans: Iterable[Span], limit: int, ends: tuple[re.Pattern[str], ...]) -> Iterator[Span]:
    """Spans of at most `limit`: those that are longer are cut by the first pattern, the rest by the next ones."""
    for start, end in spans:
        if size(text[start:end]) <= limit:
            yield start, end
        elif ends:
            yield from _split(text, _cut(text, start, end, ends[0]), limit, ends[1:])
        else:
            n_chars = max(1, limit * (end - start) // size(text[start:end]))
            yield from ((at, min(at + n_chars, end)) for at in range(start, end, n_chars))


def _cut(text: str, start: int, end: int, ends: re.Pattern[str]) -> Iterator[Span]:
    for match in ends.finditer(text, start, end):
        if match.end() > start:
            yield start, match.end()
            start = match.end()
    if start < end:
        yield start, end


def _packed(text: str, parts: Iterable[Span], limit: int) -> Iterator[Span]:
    """Neighbours joined, as long as they fit."""
    first, last, total = 0, 0, 0
    for start, end in parts:
        n = size(text[start:end])
        if total and total + n > limit:
            yield first, last
            first, total = start, 0
        last, total = end, total + n
    if total:
        yield first, last
