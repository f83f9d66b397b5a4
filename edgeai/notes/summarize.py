"""A summary of documents: a part for each of their headings, then of each document, then of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeai.documents.types import Document
from edgeai.notes.condense import Condenser, Summary, Wishes
from edgeai.notes.markdown import Notes, NotesPart
from edgeai.notes.parts import Part, parts_of, place
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.notes.steps import Ask
    from edgeai.session import Session

WORDS = {"short": 150, "medium": 400, "long": 1000}
_LEAST_WORDS = 30  # of a part
_LEAST_OVERALL = 40
_BYTES_A_WORD = 6

OnPart = Callable[[Notes, NotesPart | None], None]
"""Told of each part that is finished; None is the overview."""


def summarize(
    session: Session,
    documents: Sequence[Document],
    ask: Ask,
    wishes: Wishes,
    on_part: OnPart = lambda _notes, _part: None,
) -> Notes:
    """Summarise documents.

    Args:
        session: its model counts the tokens.
        documents: at least one, each with some text.
        ask: does a step, or plans it.
        wishes: the number of words is meant for each document.
        on_part: gets the notes as they grow.
    Raises:
        OptionError: the window is too small.
    """
    condenser = Condenser(session, ask, wishes)
    if len(documents) == 1:
        (document,) = documents
        notes = Notes(title_of(document), fixed=wishes.fixed)
        overall = _summarize_one(condenser, wishes, document, notes, None, on_part)
        notes.overview, notes.places = overall, (place(document.path, document.blocks),)
        on_part(notes, None)
        return notes
    notes = Notes(wishes.fixed.summary_of.format(n=len(documents)), fixed=wishes.fixed)
    files = [NotesPart(title_of(document), places=(place(document.path, document.blocks),)) for document in documents]
    notes.parts += files
    for document, part in zip(documents, files, strict=True):
        part.text = _summarize_one(condenser, wishes, document, notes, part, on_part)
        on_part(notes, part)
    summaries = [Summary(part.heading, part.text or "") for part in files]
    n_words = max(_LEAST_OVERALL, wishes.n_words // 3)
    notes.overview = condenser.merged(summaries, "all documents", n_words)
    on_part(notes, None)
    return notes


def title_of(document: Document) -> str:
    """What a document is called, with its file's name where it has a title of its own."""
    name, title = one_line(document.path.name), " ".join(one_line(document.title).split())
    return name if title in ("", name) else f"{title[:120]} ({name})"


def _summarize_one(
    condenser: Condenser,
    wishes: Wishes,
    document: Document,
    notes: Notes,
    over: NotesPart | None,
    on_part: OnPart,
) -> str:
    """Add a document's parts to the notes, below `over`; returns what is said of the whole."""
    n_left = wishes.n_words * 2 // 3
    n_bytes = condenser.piece_bytes(document, wishes.n_words)
    parts = parts_of(document, max(1, n_left // _LEAST_WORDS), n_bytes, wishes.fixed.part)
    name = one_line(document.path.name)
    if len(parts) == 1:
        return condenser.summary(document, name, _words(parts[0], wishes.n_words))
    level = 2 if over is None else 3
    made = [NotesPart(part.heading, level, None, (place(document.path, part.blocks),)) for part in parts]
    at = 0 if over is None else next(i for i, part in enumerate(notes.parts) if part is over) + 1
    notes.parts[at:at] = made
    for part, written in zip(parts, made, strict=True):
        n_words = _words(part, max(_LEAST_WORDS, n_left // len(parts)))
        what = part.heading if over is None else f"{name}: {part.heading}"
        written.text = condenser.summary(replace(document, blocks=part.blocks), what, n_words)
        on_part(notes, written)
    summaries = [Summary(part.heading, part.text or "") for part in made]
    return condenser.merged(summaries, name, max(_LEAST_OVERALL, wishes.n_words // 3))


def _words(part: Part, n_most: int) -> int:
    """A short text gets a shorter summary than itself."""
    return max(15, min(n_most, part.n_bytes // _BYTES_A_WORD // 2))
