"""Source code, with line numbers."""

from __future__ import annotations

import re

from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints
from edgeai.documents.reading.text import one_line_a_line

_ENOUGH_CHARS = 800
_MOST_CHARS = 4_000
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # PEP 263
_XML = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding=[\"']([-\w.]+)")


def read(data: bytes, out: Output, hints: Hints) -> None:
    """Pieces cut between definitions, each with the number of its first line."""
    put_code(one_line_a_line(decode(data, _declared(data))), out)


def put_code(text: str, out: Output) -> None:
    """Hand over code in pieces: cut at a blank line before a line that is not indented, or where it gets too long."""
    lines = text.split("\n")
    start, n_chars = 0, 0
    for number, line in enumerate(lines):
        begins = bool(line) and not line[0].isspace() and number > start and not lines[number - 1].strip()
        if (begins and n_chars >= _ENOUGH_CHARS) or n_chars >= _MOST_CHARS:
            out.code("\n".join(lines[start:number]), start + 1)
            out.progress(number, len(lines))
            start, n_chars = number, 0
        n_chars += len(line) + 1
    out.code("\n".join(lines[start:]), start + 1)


def _declared(data: bytes) -> str | None:
    for line in data[:400].split(b"\n")[:2]:
        match = _COOKIE.match(line) or _XML.match(line)
        if match:
            return match[1].decode("ascii", "replace")
    return None
