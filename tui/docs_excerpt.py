"""The part of a passage that shows why it was found."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

from edgeai.documents.words import query_words
from edgeai.documents.words import words as index_words
from edgeai.safe_text import one_line
from edgeai.text_search import fold

Span = tuple[int, int]

_WORD_WEIGHT = 8  # what is longer is not rarer
_ENDINGS = "ing|ings|ied|ies|ed|es|ers|er|s|e|y"
_ENDING = re.compile(f"(?:{_ENDINGS})$")


def excerpt(text: str, query: str, n_chars: int) -> tuple[str, list[Span]]:
    """The stretch of a text in which most of a question's words stand, on one line.

    Args:
        text: a passage; hostile.
        query: what was looked for.
        n_chars: how long the stretch may be.
    Returns:
        The stretch, with "…" where text is left out, and the places of words in it (start, end), in order.
    """
    shown = " ".join(one_line(text).split())
    found = _matches(shown, query)
    start = _start(shown, found, n_chars)
    end = min(len(shown), start + n_chars)
    if end < len(shown) and (blank := shown.rfind(" ", start + n_chars // 2, end)) > 0:
        end = blank
    head, tail = ("…" if start else ""), ("…" if end < len(shown) else "")
    shift = len(head) - start
    places = [(first + shift, last + shift) for first, last, _ in found if first >= start and last <= end]
    return head + shown[start:end] + tail, _joined(places)


def _start(text: str, found: Sequence[tuple[int, int, str]], n_chars: int) -> int:
    """Where the best stretch begins: that of the most and longest different words, the first of equals."""
    best, best_start = 0, 0
    starts = [first for first, _, _ in found]
    for index, (first, _, _) in enumerate(found):
        inside = {
            word for _, last, word in found[index : bisect_left(starts, first + n_chars)] if last - first <= n_chars
        }
        weight = sum(min(len(word), _WORD_WEIGHT) for word in inside)
        if weight > best:
            best, best_start = weight, first
    start = max(0, min(best_start - n_chars // 5, len(text) - n_chars))
    if start and (blank := text.find(" ", start, best_start)) >= 0:
        start = blank + 1
    return start


def _matches(text: str, query: str) -> list[tuple[int, int, str]]:
    """The places of a question's words, as the index takes words: whole, whatever their case, width and ending."""
    whole, beginnings = query_words(query)
    words = {*whole, *beginnings}
    parts = {
        word for word in words if len(word) == 1 and not _is_spaced(word) and any(word in w for w in words - {word})
    }
    folded, places = _folded(text) if words else ("", [])
    found = []
    for word in words - parts:
        for match in re.finditer(_pattern(word), folded):
            start, end = match.span()
            if not (_is_inside(folded[start - 1 : start], word) or _is_inside(folded[end : end + 1], word)):
                found.append((places[start], places[end - 1] + 1, word))
    return sorted(found)


def _pattern(word: str) -> str:
    """What finds a word, and an English one with other endings too: `stopped` finds `stops` and `stopping`."""
    stem = _ENDING.sub("", word)
    if len(stem) < 3 or not re.fullmatch("[a-z]+", word):
        return re.escape(word)
    stem = re.sub(r"([bdgmnprt])\1$", r"\1", stem)
    return rf"{stem}{stem[-1]}?(?:{_ENDINGS})?(?![a-z0-9])"


def _is_inside(neighbour: str, word: str) -> bool:
    """Whether a word beside this character is but a part of one; scripts without blanks are found anywhere."""
    return _is_spaced(neighbour) and _is_spaced(word)


@lru_cache(1000)
def _is_spaced(text: str) -> bool:
    """Whether the text is of a script that puts blanks between words."""
    return bool(text) and f"a{text}" in index_words(f"a{text}")


def _folded(text: str) -> tuple[str, list[int]]:
    """The text folded character by character, and where each of its characters comes from."""
    parts = [fold(char) for char in text]
    places = [index for index, part in enumerate(parts) for _ in part]
    return "".join(parts), places


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, those that touch or overlap as one."""
    result: list[Span] = []
    for start, end in spans:
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result
