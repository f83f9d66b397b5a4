"""Marks such as `[manual.pdf p. 12]` in an answer while it is made: each put there because the place was looked up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from edgeai.documents.clauses import meaning
from edgeai.documents.marks import ModelMarks
from edgeai.documents.passages import Passage
from edgeai.documents.support import Evidence, Support
from edgeai.documents.types import Citation

_MAX_STATEMENT_CHARS = 2000
"""Longer ones are no statements, and get no mark."""
_MAX_BLANKS = 8
# What a statement ends with: a line, marks of East Asian scripts, or a full stop and a blank behind it. Repetitions
# have limits, so that a long run of anything costs no more than other text.
_EVENT = re.compile(r"[ \t]{0,8}(?:\[|\n|[。！？]{1,8}[」』）”]{0,8}|[.!?]{1,8}[\"'”’)*_]{0,8}(?=\s|\Z)|```|~~~)")
_FENCES = ("```", "~~~")
_HELD_BACK = re.compile(r"[ \t`~]{1,10}\Z")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|fig|no|vol|pp?|vs|dr|mrs?|ms|prof|st)|\b[A-Z]|^\s*\d+)$", re.IGNORECASE
)
_ABBREVIATION_CHARS = 12
_BULLET = re.compile(r"^\s*(?:(?:[-*+•]|\d+[.)])\s+|・\s*|\d+[．）、]\s*)")
_OWN_LINE = re.compile(r"\s*(?:[-*+•・#>|`~]|\d+[.)]\s|\d+[．）、]|\n)")
_LINE_START_CHARS = 6
_MAX_LINE_START_CHARS = 32
_NOT_STATED = re.compile(r"\s*(?:#|\|)")
_NEW_STATEMENT = re.compile(r"[ \t]+[\"'“‘(「『]?([^\W\d_])")
_JAPANESE = re.compile("[\u3041-\u30ff\u3400-\u9fff]")
_OPENS = re.compile(r"[:：][*_]*\s*\Z")
# That the documents do not say something stands in none of them.
_NOT_TOLD = re.compile(
    r"\b(?:documents?|texts?|passages?|sources?|articles?|manuals?|contexts?|excerpts?) (?:\w+ ){0,3}"
    r"(?:(?:do|does|did)(?: not|n['’]t) |never )(?:\w+ly )?"
    r"(?:mention|state|say|specify|contain|provide|describe|include|address|give|tell|discuss|explain|indicate)"
    r"|\bno (?:information|mention|details?)\b|\bnot (?:\w+ly )?(?:mentioned|stated|specified|described)\b"
    r"|(?:文書|資料|本文|文章|ドキュメント|マニュアル)(?:の中)?(?:に|から|で)[^。]{0,40}(?:せん|ない)"
    r"|情報(?:は|が)(?:あり|含まれていま|見つかり|提供されていま|見当たり)ません|情報(?:は|が)(?:含まれてい)?ない"
    r"|(?:記載|記述|言及)(?:は|が)?(?:されていま|あり|見当たり|していま)せん|(?:記載|記述|言及)(?:は|が|されてい|してい)ない"
    r"|(?:書かれて|述べられて|触れられて|示されて)い(?:ない|ません)",
    re.IGNORECASE,
)
_TICKS = re.compile(r"`+|\n")


class Citer:
    """Takes an answer in pieces and gives it back with marks, a few characters later.

    The model's own marks are taken out, as nothing says that they are true; each statement (a sentence or a line) gets
    the mark of the passage that supports it, or none.

    Attributes:
        citations: those of the text that was given back.
    """

    def __init__(self, source: Sequence[Passage] | Support, question: str = "") -> None:
        """
        Args:
            source: what the model was given to answer from; a `Support` may be kept for other answers.
            question: what it was asked.
        """
        self.citations: list[Citation] = []
        self._support = source if isinstance(source, Support) else Support(source)
        self._question = meaning(question)
        self._marks = ModelMarks(self._support.passages)
        self._held, self._at = "", 0  # what came, and how far it was dealt with
        self._parts: list[str | Evidence] = []
        self._n_given = 0
        self._begin()

    def feed(self, piece: str) -> str:
        """The next piece of the answer; what can be shown of it now."""
        self._held, self._at = self._held[self._at :] + piece, 0
        return self._take(is_end=False)

    def finish(self, *, is_cut: bool = False) -> str:
        """What was held back, at the end of the answer; more may be fed then: another answer, behind the first.

        Args:
            is_cut: the answer was ended from outside; a statement that is not whole gets no mark.
        """
        shown = self._take(is_end=True, is_cut=is_cut)
        self._held, self._at = "", 0
        self._begin()
        return shown

    def _begin(self) -> None:
        """As at the start of a text."""
        self._statement = ""
        self._last = ""  # the character before what is held
        self._fence = ""  # that code stands behind
        self._n_ticks = 0  # of the code within the line that is open

    def _take(self, is_end: bool, is_cut: bool = False) -> str:
        """Text with marks, as far as it can be known."""
        while self._at < len(self._held):
            event = _EVENT.search(self._held, self._at)
            if event is None:
                blank = None if is_end else _HELD_BACK.search(self._held, max(self._at, len(self._held) - 10))
                self._pass((blank.start() if blank else len(self._held)) - self._at)
                break
            self._pass(event.start() - self._at)
            if not self._handle(event.group(), is_end):
                break
        if is_end:
            self._pass(len(self._held) - self._at)
            if not is_cut:
                self._end_statement()
        return self._given()

    def _handle(self, event: str, is_end: bool) -> bool:
        """Deal with what the held text begins with; False where more of the answer must be seen first."""
        kind = event.lstrip(" \t")
        if kind in _FENCES:
            self._code(kind, len(event))
        elif kind == "[":
            return self._bracket(len(event), is_end)
        elif kind == "\n":
            return self._line_end(len(event), is_end)
        else:
            return self._stop(event, is_end)
        return True

    def _code(self, fence: str, n: int) -> None:
        """Code begins or ends; what opens it may stand within, in the other form, and `~~~` ends a word as well."""
        opens = not self._fence and (fence == "```" or self._last in ("", "\n"))
        ends = self._fence == fence
        self._pass(n)
        if opens or ends:
            self._fence = fence if opens else ""
            self._statement, self._n_ticks = "", 0

    def _bracket(self, n: int, is_end: bool) -> bool:
        """Take a mark of the model's out; where a new statement begins behind it, it has ended the one before."""
        at = self._at + n - 1
        before = self._held[at - 1] if n > 1 else self._last
        end = None
        if not (self._fence or self._n_ticks):
            end = self._marks.end(self._held, at, before)
            if (self._marks.may_grow(self._held, at) or end == len(self._held)) and not is_end:
                return False
        if end is None:
            self._pass(n)
            return True
        behind = self._held[end : end + _MAX_BLANKS + 2]
        if not is_end and len(behind) <= _MAX_BLANKS and not behind.strip(" \t"):
            return False
        self._at = end
        if self._last in ("", "\n"):
            self._at += len(behind) - len(behind.lstrip(" \t"))
        else:
            self._last = " "
        new = _NEW_STATEMENT.match(behind)
        if new and (new[1].isupper() or _JAPANESE.match(new[1])):
            self._end_statement()
        return True

    def _line_end(self, n: int, is_end: bool) -> bool:
        """A statement goes on in the next line, unless that is blank or begins something of its own."""
        behind = self._held[self._at + n : self._at + n + _MAX_LINE_START_CHARS]
        if not (is_end or "\n" in behind or len(behind) >= _LINE_START_CHARS):
            return False
        if not behind.split("\n")[0].strip(" \t") or _OWN_LINE.match(behind) or _OWN_LINE.match(self._statement):
            self._end_statement()
        self._pass(n)
        return True

    def _stop(self, event: str, is_end: bool) -> bool:
        """A full stop ends a statement where a new one begins behind it, or nothing comes."""
        start = self._at + len(event)
        behind = self._held[start : start + _MAX_BLANKS + 1]
        if not behind.strip(" ") and len(behind) <= _MAX_BLANKS and not is_end:
            return False
        is_abbreviation = _ABBREVIATION.search(self._statement, max(0, len(self._statement) - _ABBREVIATION_CHARS))
        if event.lstrip()[0] in ".!?" and (behind.lstrip(" ")[:1].islower() or is_abbreviation):
            self._pass(len(event))
            return True
        if not event.strip().startswith(("?", "？")):  # a question states nothing
            self._end_statement()
        self._pass(len(event))
        self._statement = ""
        return True

    def _pass(self, n: int) -> None:
        """Give the first characters of what is held back."""
        text = self._held[self._at : self._at + n]
        self._at += n
        if not text:
            return
        self._last = text[-1]
        if len(self._statement) <= _MAX_STATEMENT_CHARS:
            self._statement += text[: _MAX_STATEMENT_CHARS + 1]
        for run in _TICKS.findall(text):
            if run == "\n" or len(run) == self._n_ticks:
                self._n_ticks = 0
            elif not self._n_ticks:
                self._n_ticks = len(run)
        self._parts.append(text)

    def _end_statement(self) -> None:
        statement, self._statement = self._statement, ""
        if (
            self._fence
            or len(statement) > _MAX_STATEMENT_CHARS
            or _NOT_STATED.match(statement)
            or _OPENS.search(statement)
            or _NOT_TOLD.search(statement)
        ):
            return
        evidence = self._support.best(_BULLET.sub("", statement), self._question)
        if evidence:
            self._parts.append(evidence)

    def _given(self) -> str:
        shown, n = list[str](), self._n_given
        for part in self._parts:
            if isinstance(part, Evidence):
                citation = _citation(part, n + len(" ["))
                self.citations.append(citation)
                part = f" [{citation.label}]"
            shown.append(part)
            n += len(part)
        self._parts, self._n_given = [], n
        return "".join(shown)


def _citation(evidence: Evidence, start: int) -> Citation:
    passage = evidence.passage
    line = passage.line_of(evidence.start)
    place = Citation(passage.path, evidence.quote, passage.text, start, 0, passage.headings, passage.first_page, line)
    return replace(place, end=start + len(place.label))
