"""A report by an outline: for each section the best passages are looked up, and the section is written from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.documents.citing import Citer
from edgeai.documents.content_words import content_words
from edgeai.documents.passages import index_text
from edgeai.documents.prompt_text import fenced_run
from edgeai.documents.search import PassageRun, context_for
from edgeai.documents.types import Citation, Document
from edgeai.documents.words import words
from edgeai.errors import ContextOverflowError, OptionError
from edgeai.notes.condense import Condenser, Wishes
from edgeai.notes.markdown import Notes, NotesPart, escaped
from edgeai.notes.outline import Outline, OutlineSection
from edgeai.notes.parts import place_label
from edgeai.notes.prompts import section_prompt
from edgeai.notes.steps import Ask, Step
from edgeai.notes.summarize import OnPart
from edgeai.notes.tidy import beginning
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.documents.library_types import Hit
    from edgeai.notes.shelf import Shelf
    from edgeai.session import Session

WORDS = {"short": 80, "medium": 150, "long": 300}
"""Of a section."""
_N_HITS = 40
_GENERAL = set(
    content_words("introduction overview background scope summary conclusion outlook はじめに 概要 序論 結論 まとめ")
)
_MOST_TOKENS = 1500  # of passages: more of them make a small model slower, not better
_LEAST_TOKENS = 60
_FENCE_TOKENS = 40  # of each


def filled(folder: Path, documents: Sequence[Document]) -> Library:
    """A library of these documents in a folder; what stands there already is not added again."""
    from edgeai.documents.library import Library

    library = Library.open(folder)
    try:
        library.add(*(document for document in documents if not library.has(document.path, document.sha256)))
    except BaseException:
        library.close()
        raise
    return library


def report(
    session: Session,
    shelf: Shelf,
    outline: Outline,
    ask: Ask,
    wishes: Wishes,
    on_part: OnPart = lambda _notes, _part: None,
) -> Notes:
    """Write a report.

    Args:
        session: its model counts the tokens.
        shelf: what it is written from.
        outline: what to write.
        ask: does a step, or plans it.
        wishes: the number of words is meant for each section.
        on_part: gets the report as it grows.
    Raises:
        OptionError: the window is too small, or an instruction is too long for it.
    """
    condenser = Condenser(session, ask, wishes)
    notes = Notes(outline.title, overview="", fixed=wishes.fixed)
    notes.parts = [
        NotesPart(section.heading, section.level, None if section.is_written else "") for section in outline.sections
    ]
    for section, part in zip(outline.sections, notes.parts, strict=True):
        if section.is_written:
            text, runs = _written(session, shelf, outline, section, condenser, ask, wishes)
            citer = Citer([passage for run in runs for passage in run.passages], section.heading)
            part.text, part.citations = _with_inert_marks(citer.feed(text) + citer.finish(), citer.citations)
            cited = (citation.label for citation in citer.citations)
            part.places = tuple(dict.fromkeys(cited)) or tuple(dict.fromkeys(map(_place, runs)))
            part.places_are = wishes.fixed.sources if part.citations else wishes.fixed.unchecked
            on_part(notes, part)
    return notes


def _written(
    session: Session,
    shelf: Shelf,
    outline: Outline,
    section: OutlineSection,
    condenser: Condenser,
    ask: Ask,
    wishes: Wishes,
) -> tuple[str, list[PassageRun]]:
    """A section's text, and what it was written from; with fewer passages where they do not fit."""
    instruction = "\n".join(text for text in (outline.instruction, section.instruction) if text)
    told = session.count_tokens(f"{outline.title} {section.heading} {instruction}")
    room = min(condenser.room(wishes.n_words) - told, _MOST_TOKENS)
    if room < _LEAST_TOKENS:
        raise OptionError(
            f"{section.heading!r}: what is to be written has {told:,} tokens: expected fewer, as the window has "
            f"n_ctx = {session.n_ctx:,}; shorten the outline, or choose a larger window (--n-ctx)"
        )
    hits = _found(shelf, outline, section)
    while hits and room >= _LEAST_TOKENS:
        runs = context_for(hits, room, lambda text: session.count_tokens(text) + _FENCE_TOKENS)
        runs = runs or [_beginning_of(hits[0], room - _FENCE_TOKENS, session)]
        max_tokens = condenser.max_tokens(wishes.n_words)
        text = "\n\n".join(map(fenced_run, runs))
        prompt = section_prompt(text, wishes.n_words, section.heading, outline.title, instruction, wishes.text)
        instead = beginning(runs[0].text, max_tokens)
        try:
            return ask(Step(section.heading, prompt, max_tokens, instead)), runs
        except ContextOverflowError:
            room //= 2
    return wishes.fixed.nothing_found, []


def _with_inert_marks(text: str, citations: Sequence[Citation]) -> tuple[str, tuple[Citation, ...]]:
    """A text whose marks mean nothing in Markdown, whatever the files are called, and where the marks stand then."""
    made, at, moved = "", 0, list[Citation]()
    for citation in citations:
        label = escaped(citation.label)
        made += f"{text[at : citation.start]}{label}"
        moved.append(replace(citation, start=len(made) - len(label), end=len(made)))
        at = citation.end
    return made + text[at:], tuple(moved)


def _beginning_of(hit: Hit, n_tokens: int, session: Session) -> PassageRun:
    """As much of the best passage as the window holds, where it does not hold one."""
    text = hit.passage.text
    while (n := session.count_tokens(text)) > n_tokens:
        text = text[: len(text) * n_tokens // n]
    return PassageRun((hit.passage,), text)


def _found(shelf: Shelf, outline: Outline, section: OutlineSection) -> list[Hit]:
    """Passages for a section: by its own words, or by the title's where its own are those of any report."""
    question = f"{section.heading} {section.instruction}"
    asked = set(content_words(question))
    named = {word for word in words(section.heading) if len(word) > 3 or not word.isascii()}
    if asked <= _GENERAL:
        return shelf.search(f"{outline.title} {outline.instruction}", _N_HITS)
    texts = [(hit, index_text(hit.passage)) for hit in shelf.search(question, _N_HITS)]
    return [hit for hit, text in texts if asked & set(content_words(text)) or named & set(words(text))]


def _place(run: PassageRun) -> str:
    if run.pages:
        return place_label(run.path, "p.", *run.pages)
    return place_label(run.path, "l.", *run.lines) if run.lines else one_line(run.path.name)
