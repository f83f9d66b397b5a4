"""What a document is once it has been read: text in blocks that know their place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgeai.safe_text import one_line

BlockKind = Literal["text", "heading", "table", "code"]
OcrMode = Literal["auto", "always", "never"]
"""Which pages of a PDF have their text recognised: those without text, where that can be done; all; none."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading, a table or a piece of code.

    Attributes:
        text: as it reads; a table as Markdown, a row a line.
        kind: what it is.
        page: of a PDF, a slide of a presentation, a sheet of a workbook, from 1; None where there are none.
        line: of a text file, where it begins, from 1; None where there are none.
        headings: those that it stands under, the outermost first, without its own.
    """

    text: str
    kind: BlockKind = "text"
    page: int | None = None
    line: int | None = None
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document that has been read.

    Attributes:
        path: the file.
        kind: what it was read as: "pdf", "docx", "markdown", "text" …
        title: its own, or the file's name; hostile text, as all of it.
        sha256: of the file's bytes as they were read.
        blocks: its text, in order.
        n_pages: pages, slides or sheets; None where there are none.
        pages_without_text: pages that hold pictures alone (scans), and whose text was not recognised.
        n_bytes: the file's.
        ocr: how it was read: "never" also where "auto" could not be done.
    """

    path: Path
    kind: str
    title: str
    sha256: str
    blocks: tuple[Block, ...]
    n_pages: int | None = None
    pages_without_text: tuple[int, ...] = ()
    n_bytes: int = 0
    ocr: OcrMode = "never"


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement of an answer stands.

    Attributes:
        path: the document's file.
        quote: what supports the statement, as it stands in the document; looked up there before it is shown.
        passage: what stands around the quote, to be read with it.
        start: of the mark in the answer's text: `text[start:end]` is the label between brackets.
        end: the same.
        headings: those that it stands under, the outermost first.
        page: of a PDF, a slide or a sheet, from 1; None where there are none.
        line: of a text file, from 1; None where there are none.
    """

    path: Path
    quote: str
    passage: str
    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    line: int | None = None

    def behind(self, text: str) -> Citation:
        """The same citation where the answer has got a text before it."""
        return replace(self, start=self.start + len(text), end=self.end + len(text))

    @property
    def label(self) -> str:
        """`manual.pdf p. 12`, `notes.txt l. 40`, or the name alone; one line, without control characters."""
        name = one_line(self.path.name)
        if self.page is not None:
            return f"{name} p. {self.page}"
        return f"{name} l. {self.line}" if self.line is not None else name
