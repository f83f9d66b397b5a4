"""Which sentence of some passages says what a statement says: the evidence for a citation."""

from __future__ import annotations

import heapq
import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from edgeai.documents.agreement import Said
from edgeai.documents.clauses import meaning
from edgeai.documents.cuts import SENTENCE_END
from edgeai.documents.passages import Passage
from edgeai.documents.quantities import numbers

MIN_SHARE = 0.55
"""Of a statement's words, weighted by how rare they are: so much must stand in the source to be cited."""
_NEAR_SHARE = 0.05
"""Where a sentence says the contrary, another must say nearly as much of a statement to be cited for it."""
_MOST_COMPARED = 64
"""So many of the best parts are compared in detail: a document may repeat a sentence without end."""
_MIN_WORDS = 3
"""A statement with fewer words (`Ten seconds.`) must stand in the source whole, beside words of the question."""
_MAX_QUOTE_CHARS = 400
_MAX_SENTENCE_CHARS = 1000
_ENDED = re.compile(r"[.!?。！？][\"'”’)」』）]{0,3}\Z")
_CLOSING = {"(": ")", "（": "）", "「": "」", "『": "』", "〔": "〕"}
_BRACKET = re.compile("[()（）「」『』〔〕]")
_PARTICLE = re.compile("[とをにはがのもでなっ、]")
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
class _Sentence:
    passage: Passage
    start: int
    end: int
    all: str  # with the rest of a sentence that is longer than a quote: its verb may stand there
    words: frozenset[str]
    numbers: frozenset[str]

    def holds(self, other: _Sentence) -> bool:
        """Whether another one is this one or a part of it."""
        return other.passage is self.passage and self.start <= other.start and other.end <= self.end


class _Sentences:
    """Those of all passages, and which of them hold a word."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.all = [sentence for passage in passages for sentence in _sentences(passage)]
        self.holding: dict[str, list[int]] = defaultdict(list)
        for number, sentence in enumerate(self.all):
            for word in sentence.words:
                self.holding[word].append(number)

    def weight(self, words: Iterable[str]) -> float:
        """Rare words say more: inverse document frequency, a sentence being the document."""
        return sum(math.log(1 + (len(self.all) + 1) / (len(self.holding.get(word, ())) + 0.5)) for word in words)

    def near(self, words: Set[str]) -> set[int]:
        """The sentences that may hold `MIN_SHARE` of some words, alone or with a neighbour.

        The commonest words together weigh too little: none of the sentences that hold these alone is looked at.
        """
        weighed = sorted((self.weight((word,)), word) for word in words)
        left = (1 - MIN_SHARE) * sum(weight for weight, _ in weighed) + 1e-9
        found: set[int] = set()
        for weight, word in reversed(weighed):  # what holds MIN_SHARE misses at most `left`: it holds one of these
            found.update(self.holding.get(word, ()))
            left -= weight
            if left < 0:
                break
        return found

    def joined(self, first: int) -> _Sentence | None:
        """A sentence with the next one, in case a statement joins two."""
        if first < 0 or first + 1 >= len(self.all):
            return None
        one, two = self.all[first], self.all[first + 1]
        if one.passage is not two.passage or two.end - one.start > _MAX_QUOTE_CHARS:
            return None
        text = one.passage.text[one.start : two.end]
        return _Sentence(one.passage, one.start, two.end, text, one.words | two.words, one.numbers | two.numbers)


class Support:
    """Passages, ready to be asked which of their sentences supports a statement; they are read when first asked."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        """`passages`: what an answer may be made of."""
        self.passages = tuple(passages)

    @cached_property
    def _sentences(self) -> _Sentences:
        return _Sentences(self.passages)

    def best(self, statement: str, question_words: Set[str] = frozenset()) -> Evidence | None:
        """The part that supports a statement best; None where none does well enough.

        Args:
            statement: a sentence.
            question_words: the `meaning` of what was asked; a short answer takes its meaning from them.
        """
        said = meaning(statement)
        if not said or not self.passages:
            return None
        candidates = self._ranked(statement, said, question_words)
        ranked = heapq.nlargest(_MOST_COMPARED, candidates, key=lambda item: item[0])
        claim = Said(statement) if ranked else None
        refuted = 0.0
        for rank, part in ranked:
            if claim is None or rank[0] < refuted - _NEAR_SHARE:
                break
            within = (other for _, other in ranked if part.holds(other))  # two together may hide what one denies
            told = part.passage.text[part.start : part.end]
            if claim.stands_in(told, _around(part.passage)) and all(claim.agrees_with(other.all) for other in within):
                return Evidence(part.passage, part.start, part.end, rank[0])
            refuted = max(refuted, rank[0])
        return None

    def _ranked(
        self, statement: str, said: Set[str], question_words: Set[str]
    ) -> Iterator[tuple[tuple[float, float, int], _Sentence]]:
        """The parts that say enough of a statement, each with how well they do."""
        held, needed = self._sentences, numbers(statement)
        is_short = len(said) < _MIN_WORDS
        total = held.weight(said)
        near = held.near(said)
        joined = (held.joined(first) for first in sorted(near | {number - 1 for number in near}))
        for part in (*(held.all[number] for number in sorted(near)), *filter(None, joined)):
            if not needed <= part.numbers:
                continue
            share = round(held.weight(said & part.words) / total, 9)
            about = held.weight(question_words & part.words)
            if share >= (1.0 if is_short else MIN_SHARE) and (about or not is_short):
                yield (share, about, part.start - part.end), part  # the shorter part, where two say as much


def _around(passage: Passage) -> str:
    """A passage with what stands above it."""
    return " ".join((passage.path.stem, *passage.headings, passage.text))


def _sentences(passage: Passage) -> Iterator[_Sentence]:
    for first, last in _spans(passage.text):
        is_whole = last - first <= _MAX_SENTENCE_CHARS and _ENDED.search(passage.text, first, last)
        for start in range(first, last, _MAX_QUOTE_CHARS):
            end = min(start + _MAX_QUOTE_CHARS, last)
            text = passage.text[start:end]
            whole = passage.text[first:last] if is_whole else text
            yield _Sentence(passage, start, end, whole, meaning(text), numbers(text, is_source=True))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where sentences, list items and rows of a text stand, without the blanks around them."""
    ends = {match.end() for match in _ITEM.finditer(text)}
    enclosed = _enclosed(text)
    for match in SENTENCE_END.finditer(text):
        at = bisect_right(enclosed, (match.start(), 0)) - 1
        if at < 0 or not _goes_on(text, match.end(), enclosed[at]):
            ends.add(match.end())
    start = 0
    for end in sorted(ends | {len(text)}):
        part = text[start:end]
        first, last = start + len(part) - len(part.lstrip()), start + len(part.rstrip())
        if first < last:
            yield first, last
        start = end


def _goes_on(text: str, at: int, enclosed: tuple[int, int]) -> bool:
    """Whether a sentence goes on behind a full stop, as that stands within brackets, or what they hold is a part."""
    start, end = enclosed
    return at < end or (at == end and (text[start] in "(（" or bool(_PARTICLE.match(text, at))))


def _enclosed(text: str) -> list[tuple[int, int]]:
    """What stands in brackets and is no longer than a quote: the outermost, in their order."""
    found: list[tuple[int, int]] = []
    opened: list[tuple[str, int]] = []
    for match in _BRACKET.finditer(text):
        if match[0] in _CLOSING:
            opened.append((_CLOSING[match[0]], match.start()))
            continue
        while opened and opened[-1][0] != match[0]:  # one that was never closed
            opened.pop()
        if opened:
            start = opened.pop()[1]
            if match.end() - start <= _MAX_QUOTE_CHARS:
                while found and found[-1][0] > start:
                    found.pop()
                found.append((start, match.end()))
    return found
