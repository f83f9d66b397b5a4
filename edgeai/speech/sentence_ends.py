"""Where a sentence of running text ends, English or Japanese."""

from __future__ import annotations

import re
import unicodedata

_NEVER_LAST = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "mx",
        "dr",
        "prof",
        "st",
        "mt",
        "ft",
        "gen",
        "col",
        "lt",
        "sgt",
        "capt",
        "rev",
        "hon",
        "pres",
        "gov",
        "sen",
        "rep",
        "messrs",
        "vs",
        "viz",
        "cf",
        "e.g",
        "i.e",
        "eg",
        "ie",
        "fig",
        "figs",
        "eq",
        "eqs",
        "ch",
        "sec",
        "vol",
        "ed",
        "eds",
        "pp",
        "approx",
        "ca",
        "al",
        "nos",
    ]
)
"""Abbreviations after which a sentence goes on."""
_BEFORE_NUMBER = frozenset(
    [
        "no",
        "p",
        "art",
        "par",
        "v",
        "ver",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sept",
        "sep",
        "oct",
        "nov",
        "dec",
    ]
)
"""Abbreviations after which it goes on where a digit follows."""
_MAYBE_LAST = frozenset(
    ["a.m", "p.m", "u.s", "u.k", "u.n", "e.u", "etc", "inc", "ltd", "co", "corp", "jr", "sr", "d.c"]
)
"""Abbreviations that end a sentence where a capital letter follows."""
_BEFORE_LETTER = re.compile(
    r"(?i:\b(?:an?|plan|vitamin|option|grade|type|class|section|part|group|team|point|exhibit|appendix)\s|°\s?)[A-Z]$"
)
"""What makes a single letter a name of something, rather than somebody's initial."""
_WORDS = re.compile(r"[A-Za-z]'?[a-z]")

_CLOSERS = "\"'”’)\\]»*_`」』）】〉》〕"
_END = re.compile(rf"[.!?…]*[。！？．｡][.!?…。！？．｡]*[{_CLOSERS}]*|[.!?…]+[{_CLOSERS}]*|\n|[「『]|[」』]")
_LATIN_MARKS = re.compile(rf"[.!?…]+[{_CLOSERS}]*")
_WORD_BEFORE = re.compile(r"[\w.]*$")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])[.)]")
_BLOCK_LINE = re.compile(
    r"[ \t]*(?:#{1,6}\s|[-*+•]\s|\d{1,3}[.)]\s|>|```|~~~|\||\$\$|\\\[|[-*_=]{3,}[ \t]*$)", re.MULTILINE
)
_ENDS_WITH_LINE = re.compile(r"(?:#{1,6}\s|[-*+•]\s|\d{1,3}[.)]\s|[-*_=]{3,}\s*\n)")
_CLAUSE = re.compile(r"[,;:—][\"'”’)]*\s|[、，；：—…]+[」』）]*")
_WRAPPED_COLUMNS = 55
"""A line as long as this was broken to fit a page; a shorter one was ended on purpose."""
_MIN_CLAUSE_CHARS, _MIN_WIDE_CLAUSE_CHARS = 16, 6


def sentence_end(text: str, start: int, limit: int, *, at_line_start: bool, is_last: bool) -> int | None:
    """Where the sentence that begins at `start` ends, before `limit`; None while no end is in sight.

    Args:
        at_line_start: the sentence begins a line: it may be a heading or stand in a list.
        is_last: no more text comes.
    """
    open_quotes = 0
    number = _LIST_NUMBER.match(text, start) if at_line_start else None
    ends_with_line = at_line_start and _ENDS_WITH_LINE.match(text, start) is not None
    for mark in _END.finditer(text, number.end() if number else start, limit):
        found = mark.group()
        if found in "「『":
            open_quotes += 1
        elif found in "」』":
            open_quotes = max(0, open_quotes - 1)
        elif found == "\n":
            is_end = ends_with_line or _ends_line(text, start, mark.start(), is_last=is_last)
            if is_end or is_end is None:
                return mark.end() if is_end else None
        elif mark.start() > start:
            is_end = _ends_sentence(text, start, mark, open_quotes, is_last=is_last)
            open_quotes = max(0, open_quotes - found.count("」") - found.count("』"))
            if is_end or is_end is None:
                return mark.end() if is_end else None
    return None


def clause_end(text: str, start: int, limit: int, *, must: bool) -> int | None:
    """The last good place to cut before `limit`: a clause's end, else a space.

    Args:
        must: cut within a word where there is no other place; else None.
    """
    least = _MIN_WIDE_CLAUSE_CHARS if text[start] >= "\u3040" else _MIN_CLAUSE_CHARS
    places = [mark.end() for mark in _CLAUSE.finditer(text, start + least, limit)]
    if places:
        return places[-1]
    if not must:
        return None
    space = max(text.rfind(" ", start, limit), text.rfind("\n", start, limit))
    if space > start:
        return space + 1
    return _before_marks(text, limit, start)


def _before_marks(text: str, place: int, start: int) -> int:
    """Combining marks and joined emoji stay with what they belong to, within reason."""
    for cut in range(place, max(start, place - 20), -1):
        if not unicodedata.combining(text[cut]) and text[cut] not in "\u200d\ufe0f" and text[cut - 1] != "\u200d":
            return cut
    return place


def _ends_line(text: str, start: int, newline: int, *, is_last: bool) -> bool | None:
    """Whether a line's end ends a sentence; None: what follows must come first."""
    rest = text[newline + 1 : newline + 12]
    if not is_last and (not rest.strip(" \t") or ("\n" not in rest and len(rest) < 6)):
        return None
    if not rest or not rest.split("\n")[0].strip() or _BLOCK_LINE.match(text, newline + 1):
        return True
    line = text[max(start, text.rfind("\n", start, newline) + 1) : newline]
    return _columns(line) < _WRAPPED_COLUMNS


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


def _ends_sentence(text: str, start: int, mark: re.Match[str], open_quotes: int, *, is_last: bool) -> bool | None:
    """Whether these marks end a sentence; None: what follows must come first."""
    found, end = mark.group(), mark.end()
    if end == len(text):
        return True if is_last else None
    if open_quotes > found.count("」") + found.count("』"):
        return False
    if not _LATIN_MARKS.fullmatch(found):
        return not (found[-1] in "」』）】" and _is_hiragana(text[end]))
    return _ends_latin(text, start, mark, is_last=is_last)


def _ends_latin(text: str, start: int, mark: re.Match[str], *, is_last: bool) -> bool | None:
    found, end = mark.group(), mark.end()
    if not text[end].isspace() and not _is_wide(text[end]):
        return False
    after = text[end : end + 40].lstrip(" \t\"'“‘(*_")
    if not after:
        return True if is_last else None
    if after[0].islower():
        return after[0] not in "abcdefghijklmnopqrstuvwxyz" if found[0] in "!?" else False
    if found[0] != ".":
        return True
    return _may_end_after(text[max(start, mark.start() - 80) : mark.start()], after[0])


def _may_end_after(before: str, following: str) -> bool:
    """Whether a full stop after this text ends a sentence, rather than an abbreviation."""
    matched = _WORD_BEFORE.search(before)
    word = matched.group() if matched else ""
    lowered = word.lower()
    if lowered in _NEVER_LAST or (lowered in _BEFORE_NUMBER and following.isdigit()):
        return False
    is_letter = len(word) == 1 and word.isupper()
    if not is_letter and lowered not in _MAYBE_LAST:
        return True
    if is_letter and _BEFORE_LETTER.search(before):
        return True
    if _is_wide(following):  # with no English words before it, it stands within a Japanese sentence
        return _WORDS.search(before[: -len(word)]) is not None
    if is_letter:
        return word == "I" and following.isupper()
    return following.isupper() or not following.isalpha()


def _is_hiragana(letter: str) -> bool:
    return "\u3041" <= letter <= "\u309f"


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF" and not letter.isdigit()
