"""Rows of JSON, an object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from edgeai.errors import DocumentError
from edgeai.records.lines import Line
from edgeai.records.types import MAX_COLUMNS, BrokenRow, Row

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def jsonl_rows(lines: Iterator[Line]) -> Iterator[Row | BrokenRow]:
    """The rows.

    Raises:
        DocumentError: it is one JSON array.
    """
    for line in lines:
        text = line.text.strip()
        if line.why:
            yield BrokenRow(line.number, line.why)
        elif text == "[" or (line.number == 1 and text.startswith("[")):
            raise DocumentError("a JSON array: expected one object a line; convert it, as with `jq -c '.[]'`")
        elif text:
            yield _row(line.number, text)


def _row(number: int, text: str) -> Row | BrokenRow:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as exc:
        return BrokenRow(number, f"no JSON ({exc.msg} at character {exc.colno:,}): expected an object")
    except (ValueError, RecursionError) as exc:
        return BrokenRow(number, f"no JSON ({exc}): expected an object")
    if not isinstance(value, dict):
        return BrokenRow(number, f"{_kind(value)}: expected an object")
    if len(value) > MAX_COLUMNS:
        return BrokenRow(number, f"{len(value):,} columns: expected at most {MAX_COLUMNS:,}")
    if _SURROGATE.search(text) and not _is_encodable(value):
        return BrokenRow(number, "half a surrogate pair (\\ud800 … \\udfff), which is no character")
    return Row(number, value)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _is_encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
