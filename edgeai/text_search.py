"""Words for full-text search, in any script: what is written into an FTS5 index, and the query that finds it.

Scripts that put no blanks between words (Japanese, Chinese, Korean, Thai, …) are indexed as overlapping pairs of
characters, everything else as whole words. The FTS5 table must use the tokenizer `ascii`: it leaves the terms, which
are separated by blanks, as they are.
"""

from __future__ import annotations

import re
import unicodedata

TOKENIZER = "ascii"
MAX_QUERY_CHARS = 300
_MAX_WORD_CHARS = 64
_ACCENTS = re.compile("[\u0300-\u036f]")

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u3041-\u309f\u30a1-\u30fa\u30fc-\u318e\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"  # Han, Hangul
)
_SYMBOLS = "\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_TERM = re.compile(
    f"(?P<unspaced>[{_UNSPACED}]+)|(?P<symbol>[{_SYMBOLS}])|(?P<word>(?:(?![{_UNSPACED}])[^\\W_]|[\u0900-\u0dff])+)"
)


def fold(text: str) -> str:
    """The text with what a search overlooks taken out: case, width, Latin accents. Most texts keep their length."""
    decomposed = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFKC", decomposed).casefold()


def index_terms(text: str) -> str:
    """The terms of a text, separated by blanks."""
    return " ".join(term for match in _TERM.finditer(fold(text)) for term in _terms(match))


def match_expression(query: str) -> str | None:
    """The FTS5 query for what a person typed; None when there is nothing to look for.

    Parts between blanks must all be found, each as a phrase that the found text may continue (`batter` finds
    `battery`). Whatever else is typed, FTS5's own operators and quotation marks included, is punctuation.
    """
    phrases = []
    for part in query_parts(query):
        matches = list(_TERM.finditer(part))
        terms = [term for match in matches for term in _terms(match)]
        last = matches[-1]
        is_pair = last.lastgroup == "unspaced" and len(last.group()) > 1
        if is_pair:
            terms.pop()  # the single last character: in a longer text a pair stands in its place
        open_end = "" if is_pair or last.lastgroup == "symbol" else "*"
        phrases.append(f'"{" ".join(terms)}"{open_end}')
    return " ".join(phrases) or None


def query_parts(query: str) -> list[str]:
    """The folded parts of a query that hold anything to look for."""
    return [part for part in fold(query[:MAX_QUERY_CHARS]).split() if _TERM.search(part)]


def snippet(text: str, query: str, *, n_before: int = 30, n_chars: int = 120) -> tuple[str, list[tuple[int, int]]]:
    """The part of a text where a query is found, on one line.

    Returns:
        The part, with "…" where text is left out, and the places in it (start, end) that match.
    """
    patterns = [_pattern(part) for part in query_parts(query)]
    found = [match.start() for pattern in patterns if (match := pattern.search(_aligned(text)))]
    first = min(found, default=0)
    start = max(0, first - n_before)
    if start and (blank := text.find(" ", start, first)) >= 0:
        start = blank + 1
    shown = re.sub(r"\s", " ", text[start : start + n_chars])
    shown = ("…" if start else "") + shown + ("…" if start + n_chars < len(text) else "")
    return shown, sorted(match.span() for pattern in patterns for match in pattern.finditer(_aligned(shown)))


def _terms(match: re.Match[str]) -> list[str]:
    text = match.group()
    if match.lastgroup == "unspaced":
        return [text[index : index + 2] for index in range(len(text) - 1)] + [text[-1]]
    return [text[:_MAX_WORD_CHARS]]


def _pattern(part: str) -> re.Pattern[str]:
    """What finds a part of a query in a folded text: at word starts, where it is a word."""
    words = [re.escape(match.group()) for match in _TERM.finditer(part)]
    start = "" if re.match(f"[{_UNSPACED}{_SYMBOLS}]", part) else r"(?<![^\W_])"
    return re.compile(start + r"[\W_]*".join(words))


def _aligned(text: str) -> str:
    """The text folded, if every place in it is the same place in the text; else as near to it as that can be had."""
    for candidate in (fold(text), text.lower()):
        if len(candidate) == len(text):
            return candidate
    return text
