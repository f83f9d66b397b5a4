"""What a report is to consist of: read from a file, proposed by the model, or taken from the documents' headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.documents.content_words import content_words
from edgeai.documents.passages import index_text
from edgeai.documents.prompt_text import fenced
from edgeai.documents.types import Block, Document
from edgeai.documents.words import words
from edgeai.errors import DocumentError
from edgeai.notes.prompts import outline_prompt
from edgeai.notes.steps import Ask, Step
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.notes.shelf import Shelf

MAX_SECTIONS = 200
_N_PROPOSED = 6
_LEAST_PROPOSED = 3
_MAX_HEADING_CHARS = 80
_MAX_HEADING_WORDS = 12
_N_HEADINGS_SHOWN = 40
_OUTLINE_TOKENS = 160
_BULLET = re.compile(
    r"^\s*(?:(?:#{1,6}|[-*+•]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.):]|(?:section|chapter)\s+\d+[.:]?)\s*)+", re.I
)


@dataclass(frozen=True, slots=True)
class OutlineSection:
    """A section to be written.

    Attributes:
        heading: one line.
        level: of the heading, 2 … 6.
        instruction: what the user says about it.
        is_written: False for a heading that only stands over others.
    """

    heading: str
    level: int = 2
    instruction: str = ""
    is_written: bool = True


@dataclass(frozen=True, slots=True)
class Outline:
    """A report's title and sections, and what the user says about all of them."""

    title: str
    sections: tuple[OutlineSection, ...]
    instruction: str = ""


def outline_of(document: Document) -> Outline:
    """The outline that a file with headings is.

    Args:
        document: the file, read. A first heading above all others is the title.
    Raises:
        DocumentError: it has no heading, or too many.
    """
    name = one_line(str(document.path))
    found: list[tuple[str, int, list[str]]] = []
    for block in document.blocks:
        if block.kind == "heading":
            found.append((" ".join(one_line(block.text).split()), len(block.headings), []))
        elif found:
            found[-1][2].append(block.text)
    if not found:
        raise DocumentError(f"{name}: expected an outline with Markdown headings (# Safety), found none; add some")
    if len(found) > MAX_SECTIONS:
        raise DocumentError(f"{name}: {len(found)} headings: expected at most {MAX_SECTIONS}; split the report")
    title, instruction = one_line(document.path.stem), ""
    if len(found) > 1 and all(level > found[0][1] for _, level, _ in found[1:]):
        title, _, texts = found.pop(0)
        instruction = "\n".join(texts)
    least = min(level for _, level, _ in found)
    sections = []
    for index, (heading, level, texts) in enumerate(found):
        is_over = index + 1 < len(found) and found[index + 1][1] > level
        text = "\n".join(texts).strip()
        sections.append(OutlineSection(heading, min(level - least + 2, 6), text, bool(text) or not is_over))
    return Outline(title, tuple(sections), instruction)


def proposed(topic: str, documents: Sequence[Document], shelf: Shelf, ask: Ask, wishes: str) -> Outline:
    """An outline for a topic: the model's, or, where that is nonsense, the headings that the topic finds."""
    headings = _headings(documents, shelf, topic)
    shown = Document(Path("headings"), "text", "", "", tuple(Block(heading) for heading in headings))
    prompt = outline_prompt(fenced(shown), topic, _N_PROPOSED, wishes)
    fallback = headings[:_N_PROPOSED] or [topic]
    text = ask(Step("outline", prompt, _OUTLINE_TOKENS, instead="\n".join(fallback)))
    lines = _sensible(text, topic, shelf)
    return Outline(topic, tuple(OutlineSection(line) for line in (lines or fallback)))


def _sensible(text: str, topic: str, shelf: Shelf) -> list[str]:
    """The headings in an answer; none where too few are about what there is."""
    asked = set(words(topic))
    found: dict[str, str] = {}
    for line in text.split("\n"):
        heading = _BULLET.sub("", line.replace("**", "")).strip().strip("\"'“”")
        own = [word for word in words(heading) if len(word) > 3 or not word.isascii()]
        is_heading = own and len(heading) <= _MAX_HEADING_CHARS and len(heading.split()) <= _MAX_HEADING_WORDS
        if is_heading and not heading.endswith((":", ",", ";")):
            n_known = sum(word in asked or shelf.has_word(word) for word in own)
            if n_known * 2 > len(own):
                found.setdefault(heading.casefold().rstrip(". "), heading.rstrip(". "))
    return list(found.values())[:_N_PROPOSED] if len(found) >= _LEAST_PROPOSED else []


def _headings(documents: Sequence[Document], shelf: Shelf, topic: str) -> list[str]:
    """Headings of what there is, those first under which the topic stands."""
    asked = set(content_words(topic))
    hits = shelf.search(topic, _N_HEADINGS_SHOWN)
    about = [hit.passage for hit in hits if asked & set(content_words(index_text(hit.passage)))]
    near = _unique(passage.headings[-1] for passage in about if passage.headings)
    return near if len(near) >= _LEAST_PROPOSED else _unique([*near, *_outer_headings(documents)])


def _unique(headings: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for heading in headings:
        if text := " ".join(one_line(heading).split())[:_MAX_HEADING_CHARS]:
            found.setdefault(text.casefold(), text)
    return list(found.values())[:_N_HEADINGS_SHOWN]


def _outer_headings(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        yield from (block.text for block in document.blocks if block.kind == "heading" and len(block.headings) < 3)
