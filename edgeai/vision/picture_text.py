"""What is written in a picture: lines with their places, and the blocks that they make when they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Box = tuple[Point, Point, Point, Point]

_ACTIVE = re.compile(r"[\\`*_<>\[\]|]")
_MARKER = re.compile(r"^(?:(?P<number>\d{1,9})(?=[.)](?:\s|$))|(?=(?:#{1,6}|[-+]|=+|-+)(?:\s|$)))")
"""Where a line would be a heading or an item of a list but for a backslash."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text, or the part of one that stands together.

    Attributes:
        text: hostile, without control characters; never empty.
        box: its corners in pixels of the picture, clockwise from the upper left one.
        score: how sure the engine is, 0..1.
    """

    text: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A paragraph, a heading or a table.

    Attributes:
        kind: what it is.
        rows: its lines; of a table, the cells of each, as many in every row; else one cell.
    """

    kind: Literal["text", "heading", "table"]
    rows: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        """Line by line; the cells of a row stand with a space between them."""
        return "\n".join(" ".join(cell for cell in row if cell) for row in self.rows)

    @property
    def markdown(self) -> str:
        """The same as Markdown, in which nothing that was written means anything else than itself."""
        if self.kind == "table":
            head, *rest = (f"| {' | '.join(map(_inert, row))} |" for row in self.rows)
            return "\n".join((head, "|" + " --- |" * len(self.rows[0]), *rest))
        lines = (_MARKER.sub(r"\g<number>\\", _inert(line)) for line in self.text.split("\n"))
        return "## " + " ".join(lines) if self.kind == "heading" else "\n".join(lines)


@dataclass(frozen=True, slots=True)
class PictureText:
    """What is written in a picture, in the order in which it is read.

    Attributes:
        lines: as they were recognised.
        blocks: what they make together.
    """

    lines: tuple[TextLine, ...] = ()
    blocks: tuple[TextBlock, ...] = ()

    @property
    def text(self) -> str:
        """All of it, an empty line between blocks."""
        return "\n\n".join(block.text for block in self.blocks)

    @property
    def markdown(self) -> str:
        """All of it with its layout: paragraphs, headings, tables."""
        return "\n\n".join(block.markdown for block in self.blocks)


def _inert(text: str) -> str:
    return _ACTIVE.sub(r"\\\g<0>", text)
