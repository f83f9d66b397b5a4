"""Which sentence of some passages says what a statement says: the evidence for a citation."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeai.documents.content_words import content_words
from edgeai.documents.cuts import SENTENCE_END
from edgeai.documents.passages import Passage

MIN_SHARE = 0.55
"""Of a statement's words, weighted by how rare they are: so much must stand in the source to be cited."""
_MIN_WORDS = 3
"""A statement with fewer words (`Ten seconds.`) must stand in the source whole, beside words of the question."""
_MAX_QUOTE_CHARS = 400
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+•|]|\d+[.)]\s))")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A part of a passage that supports a statement.

    Attributes:
        passage: the passage.
        start: where in its text the part begins; `end` where it ends.
        share: how much of the statement stands there, 0 … 1.
    """

    passage: Passage
    start: int
    end: int
    share: float

    @property
    def quote(self) -> str:
        """The part itself."""
        return self.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class _Unit:
    """One or two sentences of a passage."""

    passage: Passage
    start: int
    end: int
    words: frozenset[str]
    numbers: frozenset[str]


class Support:
    """Passages, ready to be asked which of their sentences supports a statement."""

    def __init__(self, passages: Sequence[Passage], question: str = "") -> None:
        """
        Args:
            passages: what an answer may be made of.
            question: what was asked; a short answer takes its meaning from it.
        """
        self._units = [unit for passage in passages for unit in _units(passage)]
        self._counts = Counter(word for unit in self._units for word in unit.words)
        self._question = frozenset(content_words(question))

    def best(self, statement: str) -> Evidence | None:
        """The part that supports a statement best; None where none does well enough."""
        said = frozenset(content_words(statement))
        if not said:
            return None
        numbers = _numbers(statement)
        is_short = len(said) < _MIN_WORDS
        best, best_rank = None, (0.0, 0.0, 0)
        for unit in self._units:
            common = said & unit.words
            if not common or not numbers <= unit.numbers:
                continue
            share = self._weight(common) / self._weight(said)
            about = self._weight(self._question & unit.words)
            if share < (1.0 if is_short else MIN_SHARE) or (is_short and not about):
                continue
            rank = (share, about, unit.start - unit.end)  # the shorter part, where two say as much
            if best is None or rank > best_rank:
                best, best_rank = unit, rank
        return Evidence(best.passage, best.start, best.end, best_rank[0]) if best else None

    def _weight(self, words: frozenset[str]) -> float:
        """Rare words say more: inverse document frequency, a unit being the document."""
        return sum(math.log(1 + (len(self._units) + 1) / (self._counts[word] + 0.5)) for word in words)


def _units(passage: Passage) -> Iterator[_Unit]:
    """Each sentence, and each with the next one, in case a statement joins two."""
    spans = list(_sentences(passage.text))
    for index, (start, end) in enumerate(spans):
        yield _unit(passage, start, end)
        if index + 1 < len(spans) and spans[index + 1][1] - start <= _MAX_QUOTE_CHARS:
            yield _unit(passage, start, spans[index + 1][1])


def _unit(passage: Passage, start: int, end: int) -> _Unit:
    text = passage.text[start:end]
    return _Unit(passage, start, end, frozenset(content_words(text)), _numbers(text))


def _numbers(text: str) -> frozenset[str]:
    """Numbers as they are meant: `1,200` and `１２００` are one, `3.5` has no 5 in it."""
    return frozenset(number.replace(",", "") for number in _NUMBER.findall(unicodedata.normalize("NFKC", text)))


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where sentences, list items and rows of a text stand, without the blanks around them."""
    start = 0
    ends = {match.end() for match in SENTENCE_END.finditer(text)} | {match.end() for match in _ITEM.finditer(text)}
    for end in sorted(ends | {len(text)}):
        part = text[start:end]
        first, last = len(part) - len(part.lstrip()), len(part.rstrip())
        for at in range(first, last, _MAX_QUOTE_CHARS):
            yield start + at, start + min(at + _MAX_QUOTE_CHARS, last)
        start = end
