"""Marks such as `[manual.pdf p. 12]` in an answer while it is made: each put there because the place was looked up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from edgeai.documents.passages import Passage
from edgeai.documents.support import Evidence, Support
from edgeai.documents.types import Citation

_MAX_MARK_CHARS = 200
# What a statement ends with: a line, marks of East Asian scripts, or a full stop and a blank behind it.
_EVENT = re.compile(r"[ \t]{0,8}(?:\[|\n|[。！？]+[」』）”]*|[.!?]+[\"'”’)*_]*(?=\s|\Z)|```)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|fig|no|vol|pp?|vs|dr|mrs?|ms|prof|st)|\b[A-Z]|^\s*\d+)$", re.IGNORECASE
)
_MARK = re.compile(r"\[[^\[\]\n]*\bp(?:age|p)?\.? ?\d+[^\[\]\n]*\]|\[[^\[\]\n]*\bl(?:ine)?\.? ?\d+\]", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")
_OWN_LINE = re.compile(r"\s*(?:[-*+•#>|`]|\d+[.)]\s|\n)")
_LINE_START_CHARS = 6
_NOT_STATED = re.compile(r"\s*(?:#|\|)")


class Citer:
    """Takes an answer in pieces and gives it back with marks, a few characters later.

    The model's own marks are taken out, as nothing says that they are true; each statement (a sentence or a line) gets
    the mark of the passage that supports it, or none.

    Attributes:
        citations: those of the text that was given back.
    """

    def __init__(self, passages: Sequence[Passage], question: str = "") -> None:
        """
        Args:
            passages: what the model was given to answer from.
            question: what it was asked.
        """
        self.citations: list[Citation] = []
        self._passages, self._question = passages, question
        self._support: Support | None = None
        self._names = tuple({passage.path.name for passage in passages})
        self._held = ""
        self._statement = ""
        self._n_given = 0
        self._in_code = False

    def feed(self, piece: str) -> str:
        """The next piece of the answer; what can be shown of it now."""
        self._held += piece
        return self._given(self._take(is_end=False))

    def finish(self) -> str:
        """What was held back, at the end of the answer."""
        return self._given(self._take(is_end=True))

    def _take(self, is_end: bool) -> list[str | Evidence]:
        """Texts and marks, in order, as far as it can be known."""
        parts: list[str | Evidence] = []
        while self._held:
            event = _EVENT.search(self._held)
            if event is None:
                n_blank = 0 if is_end else len(self._held) - len(self._held.rstrip(" \t`"))
                self._pass(parts, len(self._held) - n_blank)
                break
            self._pass(parts, event.start())
            if not self._handle(parts, event.group(), is_end):
                break
        if is_end:
            self._pass(parts, len(self._held))
            self._end_statement(parts)
        return parts

    def _handle(self, parts: list[str | Evidence], event: str, is_end: bool) -> bool:
        """Deal with what the held text begins with; False where more of the answer must be seen first."""
        kind = event.lstrip(" \t")
        if kind == "```":
            self._in_code = not self._in_code
            self._pass(parts, len(event))
            self._statement = ""
        elif kind == "[":
            return self._bracket(parts, len(event), is_end)
        elif kind == "\n":
            return self._line_end(parts, len(event), is_end)
        else:
            return self._stop(parts, event, is_end)
        return True

    def _bracket(self, parts: list[str | Evidence], n: int, is_end: bool) -> bool:
        close = self._held.find("]", n)
        is_open = close < 0 and "\n" not in self._held and len(self._held) < _MAX_MARK_CHARS
        if is_open and not is_end:
            return False
        if close >= 0 and not self._in_code and self._is_mark(self._held[n - 1 : close + 1]):
            self._held = self._held[close + 1 :]
        else:
            self._pass(parts, n)
        return True

    def _line_end(self, parts: list[str | Evidence], n: int, is_end: bool) -> bool:
        """A statement goes on in the next line, unless that is blank or begins something of its own."""
        behind = self._held[n:]
        if not (is_end or "\n" in behind or len(behind) >= _LINE_START_CHARS):
            return False
        if not behind.strip(" \t") or _OWN_LINE.match(behind) or _OWN_LINE.match(self._statement):
            self._end_statement(parts)
            self._statement = ""
        self._pass(parts, n)
        return True

    def _is_mark(self, text: str) -> bool:
        return bool(_MARK.fullmatch(text)) or text.strip("[ ]").startswith(self._names)

    def _stop(self, parts: list[str | Evidence], event: str, is_end: bool) -> bool:
        """A full stop ends a statement where a new one begins behind it, or nothing comes."""
        behind = self._held[len(event) :].lstrip(" ")
        if not behind and not is_end:
            return False
        if event.lstrip()[0] in ".!?" and (behind[:1].islower() or _ABBREVIATION.search(self._statement)):
            self._pass(parts, len(event))
            return True
        self._end_statement(parts)
        self._pass(parts, len(event))
        self._statement = ""
        return True

    def _pass(self, parts: list[str | Evidence], n: int) -> None:
        """Give the first characters of what is held back."""
        text, self._held = self._held[:n], self._held[n:]
        self._statement += text
        if text:
            parts.append(text)

    def _end_statement(self, parts: list[str | Evidence]) -> None:
        if self._in_code or not self._statement.strip() or _NOT_STATED.match(self._statement):
            return
        if self._support is None:
            self._support = Support(self._passages, self._question)
        evidence = self._support.best(_BULLET.sub("", self._statement))
        self._statement = ""
        if evidence:
            parts.append(evidence)

    def _given(self, parts: Sequence[str | Evidence]) -> str:
        shown = ""
        for part in parts:
            if isinstance(part, Evidence):
                start = self._n_given + len(shown) + len(" [")
                citation = _citation(part, start)
                self.citations.append(citation)
                shown += f" [{citation.label}]"
            else:
                shown += part
        self._n_given += len(shown)
        return shown


def _citation(evidence: Evidence, start: int) -> Citation:
    passage = evidence.passage
    line = passage.first_line
    if line is not None:
        line += passage.text.count("\n", passage.repeated, max(evidence.start, passage.repeated))
    place = Citation(passage.path, evidence.quote, passage.text, start, 0, passage.headings, passage.first_page, line)
    return replace(place, end=start + len(place.label))
