"""What was found in a library, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgeai.safe_text import one_line
from tui.docs_excerpt import excerpt
from tui.docs_words import shown_path

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgeai.documents.library_types import Hit
    from edgeai.documents.passages import Passage

_EXCERPT_CHARS = 220


def hit_facts(hit: Hit) -> dict[str, Any]:
    """All of a hit, the whole passage among it."""
    passage = hit.passage
    return {
        "document": str(passage.path),
        "title": passage.title,
        "headings": list(passage.headings),
        "first_page": passage.first_page,
        "last_page": passage.last_page,
        "first_line": passage.first_line,
        "last_line": passage.last_line,
        "passage": passage.ordinal,
        "text": passage.text,
        "score": hit.score,
        "ranks": dict(hit.ranks),
        "cosine": hit.cosine,
    }


def hits_text(hits: Sequence[Hit], query: str) -> Iterable[RenderableType]:
    """Of each hit its place, its headings and a part of its text, in which the words that were found stand out."""
    from rich.padding import Padding
    from rich.text import Text

    for hit in hits:
        passage = hit.passage
        text = Text.assemble((one_line(shown_path(passage.path)), "bold cyan"), (place(passage), "cyan"))
        text.append(f"  {score_text(hit)}", "dim")
        if headings := " › ".join(filter(None, (one_line(heading).strip() for heading in passage.headings))):
            text.append(f"\n{headings}", "dim")
        part, spans = excerpt(passage.text, query, _EXCERPT_CHARS)
        shown = Text(part)
        for start, end in spans:
            shown.stylize("bold yellow", start, end)
        yield text
        yield Padding(shown, (0, 0, 0, 4), expand=False)
        yield Text()


def place(passage: Passage) -> str:
    """` p. 3-4`, ` l. 10-22`, or nothing where there are neither."""
    for name, first, last in (
        ("p.", passage.first_page, passage.last_page),
        ("l.", passage.first_line, passage.last_line),
    ):
        if first is not None:
            return f" {name} {first}" + (f"-{last}" if last not in (None, first) else "")
    return ""


def score_text(hit: Hit) -> str:
    """The score, in as many digits as tell hits apart."""
    return f"{hit.score:.3g}"
