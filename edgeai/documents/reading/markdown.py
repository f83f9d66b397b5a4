"""Markdown: headings, code and tables are told apart, the text stays as it was written, with line numbers.

Source: CommonMark 0.31.2, sections 4.2, 4.3, 4.5; tables as in GitHub Flavored Markdown, section 4.10.
"""

from __future__ import annotations

import re

from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints
from edgeai.documents.reading.text import one_line_a_line
from edgeai.documents.types import BlockKind

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`]*)$")
_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


def read(data: bytes, out: Output, hints: Hints) -> None:
    """Headings, code, tables and paragraphs, each with the number of its first line."""
    put_markdown(one_line_a_line(decode(data)), out)


def put_markdown(text: str, out: Output, *, has_lines: bool = True) -> None:
    """Hand over a text's blocks. `has_lines`: with the numbers of its lines."""
    _Reader(text.split("\n"), out, has_lines=has_lines).run()


class _Reader:
    def __init__(self, lines: list[str], out: Output, *, has_lines: bool) -> None:
        self._lines = lines
        self._out = out
        self._has_lines = has_lines
        self._start = 0  # of the paragraph that is open
        self._at = 0

    def run(self) -> None:
        lines = self._lines
        if lines[0].rstrip() == "---":  # front matter
            end = next((n for n in range(1, min(len(lines), 200)) if lines[n].rstrip() in ("---", "...")), 0)
            if end:
                self._take("code", end + 1)
        while self._at < len(lines):
            self._step(lines[self._at])
            self._out.progress(self._at, len(lines))
        self._close()

    def _step(self, line: str) -> None:
        fence, heading = _FENCE.match(line), _ATX.match(line)
        if fence:
            self._close()
            self._take("code", self._fence_end(fence[1]))
        elif heading:
            self._close()
            self._heading(len(heading[1]), heading[2] or "", 1)
        elif self._is_table():
            self._close()
            end = self._at
            while end < len(self._lines) and "|" in self._lines[end]:
                end += 1
            self._take("table", end)
        elif self._start < self._at and (under := _SETEXT.match(line)):
            title, n_lines = " ".join(self._lines[self._start : self._at]), self._at - self._start + 1
            self._at = self._start
            self._heading(1 if under[1][0] == "=" else 2, title, n_lines)
        elif not line.strip():
            self._close()
            self._at += 1
            self._start = self._at
        else:
            self._at += 1

    def _heading(self, level: int, title: str, n_lines: int) -> None:
        if level == 1 and not self._out.title:
            self._out.title = title.strip()
        self._out.heading(level, title, self._line(self._at))
        self._at += n_lines
        self._start = self._at

    def _line(self, number: int) -> int | None:
        return number + 1 if self._has_lines else None

    def _is_table(self) -> bool:
        following = self._lines[self._at + 1] if self._at + 1 < len(self._lines) else ""
        return "|" in self._lines[self._at] and "|" in following and _RULE.match(following) is not None

    def _fence_end(self, mark: str) -> int:
        closing = re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$")
        for number in range(self._at + 1, len(self._lines)):
            if closing.match(self._lines[number]):
                return number + 1
        return len(self._lines)

    def _take(self, kind: BlockKind, end: int) -> None:
        put = self._out.code if kind == "code" else self._out.written_table
        put("\n".join(self._lines[self._at : end]), self._line(self._at))
        self._at = self._start = end

    def _close(self) -> None:
        """End the open paragraph."""
        if self._start < self._at:
            self._out.text("\n".join(self._lines[self._start : self._at]), self._line(self._start))
        self._start = self._at
