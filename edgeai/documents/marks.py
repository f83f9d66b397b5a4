"""Marks of a place that a model wrote by itself: told from all other brackets of a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgeai.documents.passages import Passage
from edgeai.safe_text import one_line

_MAX_PLACE_CHARS = 60
_PLACE = r"(?:pp?\.|l\.|pages?|lines?) ?\d{1,9}(?:[-–,; ]{1,3}(?:pp?\. ?|l\. ?)?\d{1,9}){0,5}"
_NAME_WITH_SUFFIX = re.compile(r".\.\w+$")


class ModelMarks:
    """What a mark of the documents in a prompt may look like: their names with a page or a line, or these alone."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        """`passages`: what the model was given."""
        # A prompt shows names without double quotes, and cuts long ones.
        names = {one_line(passage.path.name) for passage in passages}
        shown = {name.replace('"', "'")[:80].strip() for name in names} | {name.strip() for name in names}
        # A bare word in brackets is a mark only where our own marks would be the word alone, or it is a file's name.
        placed = {one_line(p.path.name) for p in passages if p.first_page is not None or p.first_line is not None}
        alone = [name for name in shown if name not in placed or _NAME_WITH_SUFFIX.search(name)]
        self._any = re.compile(rf"\[ ?(?:(?:{_one_of(shown)}),? ?{_PLACE}|{_one_of(alone)}|{_PLACE}) ?\](?!\()", re.I)
        self._n_inner = max((name.count("]") for name in shown), default=0)
        self._max_chars = max(map(len, shown), default=0) + _MAX_PLACE_CHARS

    def end(self, text: str, at: int, before: str) -> int | None:
        """Where the mark that begins at `at` ends; None where none does.

        Args:
            text: the answer.
            at: of the bracket.
            before: the character in front of it: an index stands right behind a word (`buf[p. 1]`).
        """
        if before and before.isascii() and (before.isalnum() or before in "_)]`"):
            return None
        match = self._any.match(text, at)
        return match.end() if match else None

    def may_grow(self, text: str, at: int) -> bool:
        """Whether a mark may begin here whose end is not there yet."""
        behind = text[at : at + self._max_chars]
        return len(behind) < self._max_chars and "\n" not in behind and behind.count("]") <= self._n_inner


def _one_of(names: Sequence[str] | set[str]) -> str:
    """A pattern for any of them, the longest first; for nothing, where there are none."""
    return "|".join(map(re.escape, sorted(filter(None, names), key=lambda name: (-len(name), name)))) or r"(?!)"
