"""The words of a text, as the index holds them and as a question is asked with them, in any script.

Words written with blanks between them are taken whole; what joins parts by hyphens, underscores and dots (`E-42`,
`foo_bar`, `1.2.3`) is taken whole and in its parts. Scripts without blanks are taken as overlapping pairs of
characters, so that 電源 is found inside of 電源装置; the last character of a run stands alone too, so that every
character of it begins some word. Each Chinese character also stands alone, as many are words by themselves: 栗を盗む
and 栗の木 have no pair in common.
"""

from __future__ import annotations

import re

from edgeai.text_search import fold

MAX_QUERY_CHARS = 4000
MAX_QUERY_WORDS = 64
_MAX_WORD_CHARS = 64

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff"  # Japanese marks and kana
    "\u3105-\u318e\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"  # Han, Hangul
)
_MARKS = (  # what stands on or between letters and is no letter itself: accents, vowel signs
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
)
_WORD = f"(?:[^\\W_{_UNSPACED}]+|[{_MARKS}]+)+"
_ASCII_WORDS = re.compile("[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_ANY_WORDS = re.compile(f"{_WORD}(?:[-_.]{_WORD})*")
_JOINT = re.compile("[-_.]")
_RUN = re.compile(f"[{_UNSPACED}]+")
_NOT_ASCII = re.compile("[^\\x00-\\x7f]+")
_IN_WORDS = re.compile(f"[^\\W_]|[{_MARKS}{_UNSPACED}]")
_HAN = re.compile("[\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def words(text: str) -> list[str]:
    """All words of a text, repeated as often as they stand in it, in no order that means anything."""
    text = text.lower() if text.isascii() else fold(text)
    if not _IN_WORDS.search("".join(_NOT_ASCII.findall(text))):  # dashes and quotation marks at most
        found = _with_parts(_ASCII_WORDS.findall(text))
    else:
        found = _with_parts(_ANY_WORDS.findall(text))
        for run in _RUN.findall(text):
            found += _pairs(run)
            found += _HAN.findall(run)
            if not _HAN.match(run[-1]):
                found.append(run[-1])
    if max(map(len, found), default=0) <= _MAX_WORD_CHARS:
        return found
    return [word[:_MAX_WORD_CHARS] for word in found]


def query_words(query: str) -> tuple[list[str], list[str]]:
    """What to look for.

    Args:
        query: what a person typed; nothing in it is an operator.
    Returns:
        Words to look for as they are, and single characters that begin the words to look for; each once, in the order
        of the query.
    """
    text = fold(query[:MAX_QUERY_CHARS])
    found = _with_parts(_ANY_WORDS.findall(text))
    runs = _RUN.findall(text)
    for run in runs:
        found += _pairs(run)
    for run in runs:
        found += _HAN.findall(run) if len(run) > 1 else ()
    beginnings = [run for run in runs if len(run) == 1]
    whole = [word[:_MAX_WORD_CHARS] for word in dict.fromkeys(found)]
    return whole[:MAX_QUERY_WORDS], list(dict.fromkeys(beginnings))[:MAX_QUERY_WORDS]


def _with_parts(found: list[str]) -> list[str]:
    """Patterns that look for joined words alone would try each place of a long word: their time grows as its square."""
    parts = [part for word in found if not word.isalnum() for part in _JOINT.split(word)]
    return found + parts


def _pairs(run: str) -> list[str]:
    return [run[index : index + 2] for index in range(len(run) - 1)]
