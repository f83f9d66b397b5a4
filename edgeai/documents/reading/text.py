"""Plain text, with line numbers."""

from __future__ import annotations

import re

from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints

_ENOUGH_CHARS = 600  # short paragraphs are taken together: a list must not become a thousand blocks
_BLANK = re.compile(r"\n[ \t\u3000]*(?=\n)")


def read(data: bytes, out: Output, hints: Hints) -> None:
    """Paragraphs, each with the number of its first line."""
    text = one_line_a_line(decode(data))
    for start, end, line in pieces(text):
        out.text(text[start:end], line)
        out.progress(end, len(text))


def one_line_a_line(text: str) -> str:
    """The text with no other line breaks than those that editors count."""
    for mark in ("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"):
        text = text.replace(mark, " ")
    return text


def pieces(text: str) -> list[tuple[int, int, int]]:
    """Paragraphs, short ones together: where each begins and ends in the text, and its first line's number."""
    found: list[tuple[int, int, int]] = []
    start, line = 0, 1
    for match in _BLANK.finditer(text):
        if match.start() - start >= _ENOUGH_CHARS:
            found.append((start, match.start(), line))
            line += text.count("\n", start, match.end())
            start = match.end()
    if start < len(text):
        found.append((start, len(text), line))
    return found
