"""Text from outside made harmless: no escape sequence, control or bidirectional override reaches the terminal."""

from __future__ import annotations

import re

# C0 without tab and newline, DEL and C1, Unicode line and paragraph separators, bidirectional marks, overrides and
# isolates (CVE-2021-42574: text that reads otherwise than it is), byte order mark, lone surrogates (not encodable),
# noncharacters, which programs keep for their own marks.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
    "\ufdd0-\ufdef\ufffe\uffff]"
)
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)")


def plain(text: str) -> str:
    """The text without escape sequences and invisible controls; newlines and tabs stay."""
    return _UNSAFE.sub("", _ESCAPE.sub("", text))


def one_line(text: str) -> str:
    """Plain text on one line: titles, names and paths in lists."""
    return plain(text.replace("\n", " ").replace("\r", " ").replace("\t", " "))
