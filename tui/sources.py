"""Where an answer's statements stand: the sources that are listed under it, and how they are stored with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgeai.documents.types import Citation
from edgeai.safe_text import one_line

MAX_SOURCES = 99
_MAX_CHARS = 100_000


def distinct(citations: Iterable[Citation]) -> tuple[Citation, ...]:
    """Citations in their order, each place and quote once."""
    first: dict[tuple[object, ...], Citation] = {}
    for citation in citations:
        first.setdefault((citation.path, citation.page, citation.line, citation.quote), citation)
    return tuple(first.values())[:MAX_SOURCES]


def heading_text(citation: Citation) -> str:
    """The headings that it stands under, on one line."""
    return " › ".join(one_line(heading).strip() for heading in citation.headings)


def source_line(number: int, citation: Citation) -> str:
    """`[1] manual.pdf p. 12 · Safety › Battery`."""
    return " · ".join(part for part in (f"[{number}] {citation.label}", heading_text(citation)) if part)


def to_stats(citations: Sequence[Citation]) -> list[dict[str, Any]]:
    """Citations as a stored answer has them."""
    return [
        {
            "path": str(citation.path).encode("utf-8", "replace").decode(),
            "quote": citation.quote,
            "passage": citation.passage,
            "start": citation.start,
            "end": citation.end,
            "headings": list(citation.headings),
            "page": citation.page,
            "line": citation.line,
        }
        for citation in citations
    ]


def from_stats(value: object) -> tuple[Citation, ...]:
    """Citations of a stored answer; what makes no sense is left out, so that a conversation opens."""
    if not isinstance(value, list):
        return ()
    found = [_citation(item) for item in value[:MAX_SOURCES]]
    return tuple(citation for citation in found if citation is not None)


def _citation(item: object) -> Citation | None:
    if not isinstance(item, dict):
        return None
    texts = [item.get(name) for name in ("path", "quote", "passage")]
    headings, places = item.get("headings"), [item.get(name) for name in ("start", "end")]
    numbers = [item.get(name) for name in ("page", "line")]
    if not all(isinstance(text, str) and len(text) <= _MAX_CHARS for text in texts) or not isinstance(headings, list):
        return None
    if not all(_is_count(place) for place in places) or not all(n is None or _is_count(n) for n in numbers):
        return None
    path, quote, passage = map(str, texts)
    shown = tuple(heading for heading in headings if isinstance(heading, str))
    return Citation(Path(path), quote, passage, item["start"], item["end"], shown, *numbers)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**31
