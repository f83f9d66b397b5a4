"""Rankings joined into one, and found passages laid out as context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeai.documents.library_types import Hit
from edgeai.documents.passages import Passage

RRF_K = 10
"""Small, as two rankings are fused: the first places of each count for more."""

WEIGHTS = {"words": 3, "vectors": 5}
"""How much a ranking of this name counts, any other 1. Fitted, as the constant, to half of benchmarks.retrieval."""


@dataclass(frozen=True, slots=True)
class PassageRun:
    """Neighbouring passages of one document, joined.

    Attributes:
        passages: in the document's order, without a gap.
        text: theirs, with what stands between them; a table's head row once.
    """

    passages: tuple[Passage, ...]
    text: str

    @property
    def path(self) -> Path:
        """The document's file."""
        return self.passages[0].path

    @property
    def title(self) -> str:
        """The document's."""
        return self.passages[0].title

    @property
    def headings(self) -> tuple[str, ...]:
        """Those that the run begins under."""
        return self.passages[0].headings

    @property
    def pages(self) -> tuple[int, int] | None:
        """The first and the last page."""
        return _span(self.passages[0].first_page, self.passages[-1].last_page)

    @property
    def lines(self) -> tuple[int, int] | None:
        """The first and the last line."""
        return _span(self.passages[0].first_line, self.passages[-1].last_line)


def fuse(rankings: Mapping[str, Sequence[int]], k: int = RRF_K) -> list[tuple[int, float, dict[str, int]]]:
    """Reciprocal rank fusion: each ranking gives its weight / (k + rank) to what it holds.

    Returns:
        Numbers with their sums and their ranks (from 1) by the ranking's name; best first, the smaller number first
        where sums are equal.
    Source: Cormack, Clarke, Buettcher 2009, Reciprocal Rank Fusion outperforms Condorcet.
    """
    ranks: dict[int, dict[str, int]] = {}
    for name, numbers in rankings.items():
        for rank, number in enumerate(numbers, 1):
            ranks.setdefault(number, {}).setdefault(name, rank)
    scored = [
        (number, sum(WEIGHTS.get(name, 1) / (k + rank) for name, rank in held.items()), held)
        for number, held in ranks.items()
    ]
    return sorted(scored, key=lambda entry: (-round(entry[1], 12), entry[0]))


def context_for(hits: Sequence[Hit], n_tokens: int, count_tokens: Callable[[str], int]) -> list[PassageRun]:
    """As many passages as fit, the best first; neighbours merged.

    Args:
        hits: what was found, best first.
        n_tokens: room for the runs' texts together.
        count_tokens: how many tokens a text has.
    Returns:
        Runs: documents in the order of their best hit, passages in the order of their document.
    """
    chosen: list[Hit] = []
    counted: dict[str, int] = {}
    for hit in hits:
        if any(hit.passage == other.passage for other in chosen):
            continue
        candidate = runs([*chosen, hit])
        for run in candidate:
            if run.text not in counted:
                counted[run.text] = count_tokens(run.text)
        if sum(counted[run.text] for run in candidate) <= n_tokens:
            chosen.append(hit)
    return runs(chosen)


def runs(hits: Sequence[Hit]) -> list[PassageRun]:
    """Passages in document order with neighbours joined; documents in the order in which they come first.

    A file that stands in two libraries is two documents: it may have changed between.
    """
    documents: dict[tuple[int, Path], dict[int, Passage]] = {}
    for hit in hits:
        documents.setdefault((hit.source, hit.passage.path), {})[hit.passage.ordinal] = hit.passage
    result = []
    for by_ordinal in documents.values():
        held: list[Passage] = []
        for ordinal in sorted(by_ordinal):
            if held and ordinal != held[-1].ordinal + 1:
                result.append(_run(held))
                held = []
            held.append(by_ordinal[ordinal])
        result.append(_run(held))
    return result


def _run(passages: Sequence[Passage]) -> PassageRun:
    text = passages[0].text
    for passage in passages[1:]:
        text += passage.glue + passage.text[passage.repeated :]
    return PassageRun(tuple(passages), text)


def _span(first: int | None, last: int | None) -> tuple[int, int] | None:
    return None if first is None or last is None else (first, last)
