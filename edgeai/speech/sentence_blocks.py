"""Blocks of Markdown that are not read out word for word: fenced code, tables, display formulas."""

from __future__ import annotations

import re

_FENCE = re.compile(r"(?P<marks>`{3,}|~{3,})[^\n`]*(?:\n|\Z)")
_FORMULAS = {"$$": "$$", "\\[": "\\]"}
_OPENINGS = ("```", "~~~", *_FORMULAS)


def may_begin_block(text: str, start: int) -> bool:
    """Whether what has come of a line so far is too little to tell."""
    rest = text[start : start + 4]
    return any(opening != rest and opening.startswith(rest) for opening in _OPENINGS)


def is_block(text: str, start: int) -> bool:
    """Whether a block begins here, at a line's beginning."""
    return text.startswith((*_OPENINGS, "|"), start) and kind(text[start : start + 4]) != ""


def kind(block: str) -> str:
    """What a block is: "code", "table", "formula"; "" for a sentence."""
    if block.startswith(("```", "~~~")):
        return "code"
    if block.startswith("|"):
        return "table"
    close = _FORMULAS.get(block[:2])
    return "formula" if close and block.find(close, 2) in (-1, len(block) - 2) else ""


def block_end(text: str, start: int, *, is_last: bool) -> int | None:
    """Where a block ends; None while it goes on, and the text's end where that comes first."""
    what = kind(text[start : start + 4])
    end = {"code": _code_end, "table": _table_end, "formula": _formula_end}[what](text, start)
    if end is None and is_last:
        return len(text)
    return end


def _code_end(text: str, start: int) -> int | None:
    opening = _FENCE.match(text, start)
    if opening is None:  # marks with more marks on their line, as in ```x```: no fence, code within its line
        return _line_end(text, start)
    marks = opening["marks"]
    close = re.compile(rf"^[ \t>]*{re.escape(marks)}{re.escape(marks[0])}*[ \t]*$", re.MULTILINE)
    found = close.search(text, opening.end())
    if found is None or found.end() == len(text):  # more marks, or words, may follow
        return None
    return found.end() + 1


def _table_end(text: str, start: int) -> int | None:
    while start < len(text) and text[start] == "|":
        end = _line_end(text, start)
        if end is None:
            return None
        start = end
    return start if start < len(text) else None


def _formula_end(text: str, start: int) -> int | None:
    close = _FORMULAS[text[start : start + 2]]
    found = text.find(close, start + 2)
    return None if found < 0 else found + 2


def _line_end(text: str, start: int) -> int | None:
    found = text.find("\n", start)
    return None if found < 0 else found + 1
