"""A document of the conversation on the screen: what is known of it, and what the screen says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeai.documents.types import Document
from edgeai.safe_text import one_line
from tui.document_refs import DocumentRef
from tui.reader import ReadJob
from tui.units import count_text

State = Literal["reading", "read", "evaluated", "cached", "searched", "missing"]

_UNITS = {
    ".pdf": "pages",
    ".pptx": "slides",
    ".pptm": "slides",
    ".ppsx": "slides",
    ".xlsx": "sheets",
    ".xlsm": "sheets",
}
_BEHIND = 64
"""Tokens of the chat template that may stand behind the documents."""
_SHORT_UNITS = {"pages": "p.", "slides": "slides", "sheets": "sheets"}


@dataclass(eq=False, slots=True)
class ChatDocument:
    """One document of a conversation.

    Attributes:
        path: absolute.
        ref: as it is stored; None while it was never read.
        document: what was read of it.
        state: "read" until the model has evaluated it, or found it evaluated ("cached"); "searched" where passages of
            it are looked for, as it is too long for the context window or a library is searched too; "missing" where
            it cannot be read any more.
        job: that reads it.
        n_done, n_total: pages or bytes read, while it is being read.
        n_tokens: of its text, as the model counts; 0 while that is not known.
    """

    path: Path
    ref: DocumentRef | None = None
    document: Document | None = None
    state: State = "reading"
    job: ReadJob | None = None
    n_done: int = 0
    n_total: int = 0
    n_tokens: int = 0

    @property
    def name(self) -> str:
        """Its file's name, inert."""
        return one_line(self.path.name)

    @property
    def progress(self) -> str:
        """How far it is read."""
        if not self.n_total:
            return f"reading {self.name}"
        if unit := _unit(self.path):
            return f"reading {self.name}: {self.n_done:,} of {self.n_total:,} {unit}"
        return f"reading {self.name}: {self.n_done / self.n_total:.0%}"

    @property
    def facts(self) -> str:
        """How long it is, and what of it the model has."""
        if self.state == "reading":
            return "reading" + (f" {self.n_done / self.n_total:.0%}" if self.n_total else "")
        if self.document is None:
            return "cannot be read"
        n_pages, unit = self.document.n_pages, _SHORT_UNITS[_unit(self.path) or "pages"]
        length = f"{n_pages:,} {unit}" if n_pages else ""
        tokens = f"{count_text(self.n_tokens)} tokens" if self.n_tokens else ""
        return " · ".join(part for part in (length, tokens, _WORDS[self.state]) if part)

    def takes(self, document: Document) -> None:
        """It has been read."""
        self.document, self.ref, self.state, self.job = document, DocumentRef.of(document), "read", None


_WORDS: dict[State, str] = {
    "read": "",
    "evaluated": "ready",
    "cached": "ready (cached)",
    "searched": "searched",
    "reading": "",
    "missing": "",
}


def restored(refs: Iterable[DocumentRef]) -> list[ChatDocument]:
    """The documents of a stored conversation, about to be read again."""
    return [ChatDocument(Path(ref.path), ref) for ref in refs]


def told(documents: Sequence[ChatDocument], *, cached_tokens: int, n_around: int | None) -> None:
    """What a prompt's evaluation says of its documents: which of them had been evaluated before.

    Args:
        documents: those of the prompt, in its order.
        cached_tokens: of the prompt.
        n_around: its tokens that are neither documents nor messages, of which few stand behind the documents; None
            where it held passages of them alone.
    """
    n_before = n_around or 0
    for item in documents:
        n_before += item.n_tokens
        if n_around is None:
            item.state = "searched"
        elif item.state in ("read", "searched") and item.n_tokens:
            n_missing = n_before - cached_tokens
            item.state = "cached" if n_missing <= min(_BEHIND, item.n_tokens / 2) else "evaluated"


def ready_words(documents: Sequence[ChatDocument]) -> str:
    """`document ready (cached)`, once the model has all of them; else nothing."""
    states = {item.state for item in documents if item.document is not None}
    if not states or not states <= {"evaluated", "cached"}:
        return ""
    n_ready = sum(item.document is not None for item in documents)
    what = "document" if n_ready == 1 else f"{n_ready} documents"
    return f"{what} ready (cached)" if states == {"cached"} else f"{what} ready"


def _unit(path: Path) -> str:
    return _UNITS.get(path.suffix.lower(), "")
