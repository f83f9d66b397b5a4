"""JSON and JSON Lines, legible: written as they are where that is so, else indented anew."""

from __future__ import annotations

import json
import re
from typing import Any

from edgeai.documents.reading.code import put_code
from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints
from edgeai.documents.reading.text import one_line_a_line

_LONG_LINE = 400
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")
_ENOUGH_CHARS = 1_500


def read(data: bytes, out: Output, hints: Hints) -> None:
    """What is no valid JSON is read as it stands: comments and trailing commas are common, and text is text."""
    text = one_line_a_line(decode(data))
    if out.kind == "jsonl":
        _lines(text, out)
        return
    if _is_legible(text):
        put_code(text, out)
        return
    value = _parsed(text)
    if value is None:
        put_code(text, out)
        return
    lines = json.dumps(value, ensure_ascii=False, indent=1).split("\n")
    start, n_chars = 0, 0
    for number, line in enumerate(lines):
        n_chars += len(line)
        if n_chars >= _ENOUGH_CHARS:
            out.code("\n".join(lines[start : number + 1]))
            out.progress(number, len(lines))
            start, n_chars = number + 1, 0
    out.code("\n".join(lines[start:]))


def _is_legible(text: str) -> bool:
    return not _ESCAPED.search(text) and max(map(len, text.split("\n"))) <= _LONG_LINE


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _lines(text: str, out: Output) -> None:
    """Records, some together; each stays one line, escapes become the characters that they mean."""
    lines = text.split("\n")
    start, n_chars = 0, 0
    for number, line in enumerate(lines):
        if _ESCAPED.search(line):
            value = _parsed(line)
            if value is not None:
                lines[number] = one_line_a_line(json.dumps(value, ensure_ascii=False))
        n_chars += len(lines[number])
        if n_chars >= _ENOUGH_CHARS:
            out.code("\n".join(lines[start : number + 1]), start + 1)
            out.progress(number, len(lines))
            start, n_chars = number + 1, 0
    out.code("\n".join(lines[start:]), start + 1)
