"""Which words of a sentence belong together: a statement may hold all of a source's words and pair them otherwise.

`Silver in May and copper in June` and `copper in May and silver in June` share every word; what tells them apart is
what stands nearer to what. The same holds for a single word that was exchanged in a row of words that is otherwise
the source's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations, takewhile

from edgeai.documents.clauses import parts
from edgeai.documents.content_words import content_words
from edgeai.documents.names import names
from edgeai.documents.quantities import with_figures

_CLAUSE_GAP = 6
"""Words in two clauses are so much farther from each other."""
_MAX_PAIRED = 12
"""So many numbers, names or clauses are paired: a long row of a table is no sentence."""
_MIN_CONTEXT = 4
_MAX_NEW = 2
"""A statement with more words of its own is freely worded: that one stands in the place of another says nothing."""
_MIN_ALIKE = 4
_MIN_SHARED_BEGINNING = 5
_TOKEN = re.compile(
    r"\d+(?:[.,:/]\d+)*(?:st|nd|rd|th)?|x\d+|[^\W\d_\u3041-\u30ff\u3005\u3400-\u9fff]+"
    r"|[\u30a1-\u30fa\u30fc]+|[\u3005\u3400-\u9fff]+|[\u3041-\u309f]+|[,.;:!?()、。！？（）]"
)
_CUTS = frozenset(",.;:!?()、。！？（）")
_HIRAGANA = re.compile("[\u3041-\u309f]+")
_TURNS = re.compile(r"\b(?:by|of|which|that|who|whom)\b|['’]s\b")
"""With these the same is said in another order."""
_ABOUT = frozenset(
    ["about", "around", "approximately", "roughly", "nearly", "almost", "over", "circa", "already", "actually"]
)
_SKIPPED = _ABOUT | {"a", "an", "the"}


@dataclass(frozen=True)
class Bindings:
    """A text as its words stand in it.

    Attributes:
        text: a statement, or a part of a source.
    """

    text: str

    @cached_property
    def names(self) -> frozenset[str]:
        """What begins with a capital within a sentence."""
        return frozenset(word for name in names(self.text) for word in _word(name))

    @cached_property
    def clauses(self) -> list[list[str]]:
        """The words of each clause that carry meaning."""
        found = [
            [word for token in _TOKEN.findall(part) for word in _word(token)] for part in parts(with_figures(self.text))
        ]
        return [words for words in found if words]

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """The clause of each word that stands in the text once, and its place in the text."""
        found: dict[str, tuple[int, int]] = {}
        seen: set[str] = set()
        at = 0
        for number, words in enumerate(self.clauses):
            for word in words:
                if word not in seen:
                    found[word] = (number, at)
                else:
                    found.pop(word, None)
                seen.add(word)
                at += 1
            at += _CLAUSE_GAP
        return found

    @cached_property
    def clauses_of(self) -> dict[str, frozenset[int]]:
        """The clauses that each word stands in."""
        found: dict[str, set[int]] = {}
        for number, words in enumerate(self.clauses):
            for word in words:
                found.setdefault(word, set()).add(number)
        return {word: frozenset(numbers) for word, numbers in found.items()}

    @cached_property
    def row(self) -> list[str]:
        """All words and marks in a row, but for articles and what makes a number less exact."""
        return [token for token in _TOKEN.findall(with_figures(self.text)) if token not in _SKIPPED]

    def pairs_otherwise(self, told: Bindings) -> bool:
        """Whether two of its words changed the words that they stand with."""
        return self._moves_nearer(told) or self._trades_clauses(told) or self._turns_around(told)

    def _moves_nearer(self, told: Bindings) -> bool:
        """Of two numbers or names, each took the place beside a word that the other one has there."""
        shared = self.places.keys() & told.places.keys()
        names = self.names & told.names
        paired = sorted(word for word in shared if word[0].isdigit() or word[1:].isdigit() or word in names)
        others = shared - set(paired)
        for one, other in combinations(paired[:_MAX_PAIRED], 2):
            turns = {(self._nearer(word, one, other), told._nearer(word, one, other)) for word in others}
            if {(-1, 1), (1, -1)} <= turns:
                return True
        return False

    def _nearer(self, word: str, one: str, other: str) -> int:
        """-1 where the first is nearer to a word, 1 where the second is; 0 where they are as near."""
        at = self.places[word][1]
        first, second = abs(at - self.places[one][1]), abs(at - self.places[other][1])
        return (first > second) - (first < second)

    def _trades_clauses(self, told: Bindings) -> bool:
        """Two clauses each hold what two clauses of the source hold apart."""
        shared = self.places.keys() & told.clauses_of.keys()
        clauses: dict[int, set[frozenset[int]]] = {}
        for word in shared:
            clauses.setdefault(self.places[word][0], set()).add(told.clauses_of[word])
        apart = {
            number: [(one, other) for one, other in permutations(sorted(held, key=sorted), 2) if not one & other]
            for number, held in clauses.items()
        }
        return any(
            one & there and other & here
            for first, second in combinations(sorted(apart)[:_MAX_PAIRED], 2)
            for one, other in apart[first][:_MAX_PAIRED]
            for here, there in apart[second][:_MAX_PAIRED]
        )

    def _turns_around(self, told: Bindings) -> bool:
        """Three words of one clause stand in the opposite order (`A moves B`), and neither says so by its grammar."""
        if _TURNS.search(self.text) or _TURNS.search(told.text):
            return False
        shared = [word for word in self.places if word in told.places and word.isascii() and word.isalpha()]
        rows: dict[tuple[int, int], list[int]] = {}
        for word in shared:
            rows.setdefault((self.places[word][0], told.places[word][0]), []).append(told.places[word][1])
        return any(
            first > second > third
            for row in rows.values()
            for first, second, third in zip(row, row[1:], row[2:], strict=False)
        )

    def exchanges(self, told: Bindings, around: str) -> bool:
        """Whether one word took the place of another in a row of words that both texts have.

        Args:
            told: a part of a source.
            around: what it stands in; a name from there may stand for another word (`Peru` for `the country`).
        """
        new = self._unknown_to(told)
        if len(new) > _MAX_NEW:
            return False
        for there in told._unknown_to(self):
            for at in new:
                before = _common(reversed(self.row[:at]), reversed(told.row[:there]))
                behind = _common(self.row[at + 1 :], told.row[there + 1 :])
                if before + behind >= _MIN_CONTEXT and not self._names(at, told.row[there], told, around):
                    return True
        return False

    @cached_property
    def forms(self) -> frozenset[str]:
        """The words of the row that carry meaning, and how they begin (`legal`, `legally`)."""
        words = {word for token in self.row for word in _word(token)}
        return frozenset(words | {_beginning(word) for word in words if len(word) >= _MIN_ALIKE})

    def _unknown_to(self, other: Bindings) -> list[int]:
        """Where the words stand first that another text does not have in any form."""
        first = {token: at for at, token in reversed(list(enumerate(self.row)))}
        return sorted(
            at for token, at in first.items() if any(not _is_among(word, other.forms) for word in _word(token))
        )

    def _names(self, at: int, replaced: str, told: Bindings, around: str) -> bool:
        """Whether a word of the row is a name for what the source says with a common word."""
        name = self.row[at].capitalize()
        return name in self.text and name in around and not told.names & set(_word(replaced))


def _word(token: str) -> list[str]:
    """A token as a word that carries meaning; nothing, where it carries none."""
    if token[0].isdigit() or token[1:].isdigit():
        return [token]
    if token.isascii() or not re.match("[\u3005\u3041-\u30ff\u3400-\u9fff]", token):
        return content_words(token)[:1]
    return [] if _HIRAGANA.match(token) else [token]


def _beginning(word: str) -> str:
    """What a word of Latin letters shares with its other forms; of others, nothing that any word is."""
    return f"{word[:_MIN_SHARED_BEGINNING]}…" if word.isalpha() and word.isascii() else "…"


def _is_among(word: str, forms: frozenset[str]) -> bool:
    if word in forms or (len(word) >= _MIN_ALIKE and word.isascii() and _beginning(word) in forms):
        return True
    return not word.isascii() and any(word in other or other in word for other in forms)


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """How many words two rows begin with in common; marks must be so too, and are not counted."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(word not in _CUTS for word, _ in same)
