"""Lines that claim something, and lines that say where it comes from; by the words of the rules."""

from __future__ import annotations

import functools
import re
import unicodedata

from edgeai.review.deck import Line, Slide
from edgeai.review.rules import Rules

_JOINS = "[^\\W_\u3005-\u3007\u3041-\u30ff\u3400-\u9fff]"
"""What a word goes on with: letters and figures, but for those of Japanese."""


def claims_of(slide: Slide, rules: Rules) -> list[Line]:
    """The lines that claim something."""
    claim = _claims(rules.words["superlatives"], rules.words["units"])
    innocent = _any_of(rules.words["no_claims"])
    return [line for line in slide.lines if claim.search(innocent.sub(" ", _plain(line.text)))]


def has_source(slide: Slide, rules: Rules) -> bool:
    """Whether a slide says where something comes from."""
    return any(is_source(line.text, rules) for line in slide.lines)


def is_source(text: str, rules: Rules) -> bool:
    """Whether a line does."""
    plain = _plain(text)
    return any(_plain(word) in plain for word in rules.words["sources"])


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@functools.lru_cache(16)
def _claims(superlatives: tuple[str, ...], units: tuple[str, ...]) -> re.Pattern[str]:
    """One of some words; or a number, with one of some units behind it. `3 x 4` is no claim, `3x` is one."""
    number = r"(?<![\d.,])\d{1,15}(?:[.,]\d{1,15}){0,5}"
    letters = tuple(unit for unit in units if len(unit) == 1 and unit.isalpha() and unit.isascii())
    others = tuple(unit for unit in units if unit not in letters)
    behind = f"{_any_of(letters, opens=False).pattern}|[ -]?{_any_of(others, opens=False).pattern}"
    return re.compile(f"{_any_of(superlatives).pattern}|{number}(?:{behind})")


@functools.lru_cache(16)
def _any_of(words: tuple[str, ...], *, opens: bool = True) -> re.Pattern[str]:
    """Any of some texts as a word; signs of scripts that do not separate words stand anywhere.

    Args:
        words: the texts.
        opens: the word begins there, too.
    """
    if not words:
        return re.compile("(?!)")
    longest_first = sorted(map(_plain, words), key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(_word(word, opens=opens) for word in longest_first)})")


def _word(word: str, *, opens: bool) -> str:
    before = f"(?<!{_JOINS})" if opens and word[0].isascii() and word[0].isalnum() else ""
    behind = f"(?!{_JOINS})" if word[-1].isascii() and word[-1].isalnum() else ""
    return before + re.escape(word) + behind
