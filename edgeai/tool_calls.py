"""Finding the calls in what a model wrote; every family marks them in its own way.

Nothing is ever evaluated: a call is JSON with a name and arguments, or it is text.

Sources of the shapes: the chat templates of Qwen 2.5 and 3 and of Hermes (`<tool_call>` … `</tool_call>`), SmolLM2
(`<tool_call>` with a list), Llama 3.1 (bare JSON with `parameters`), Mistral (`[TOOL_CALLS]` with a list, and of late
`[TOOL_CALLS]name[ARGS]{…}`), Phi-4-mini (`<|tool_call|>` … `<|/tool_call|>`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from edgeai.messages import ToolCall

MAX_CALLS = 16
_MAX_CHARS = 100_000
_MARKS = re.compile(r"<tool_call>|<\|tool_call\|>|\[TOOL_CALLS\]|```(?:json|tool_call)?\s*|<\|python_tag\|>")
_BETWEEN = re.compile(r"[ \n\r\t;,]*")
_NAME = re.compile(r"\s*([\w.-]{1,64})(?:\[CALL_ID\]\w{1,64})?(?:\[ARGS\])?\s*(?=\{)")


def find_calls(text: str) -> list[tuple[ToolCall, bool]]:
    """The calls in a text, at most MAX_CALLS; none where it is no call from its start, or from a mark on.

    Returns:
        Each call, and whether the model marked it as one; bare or fenced JSON may mean something else.
    """
    text = text[:_MAX_CHARS].strip()
    found: list[tuple[ToolCall, bool]] = []
    if text.startswith(("{", "[")) and not text.startswith("[TOOL_CALLS]"):
        found = [(call, False) for call in islice(_calls_at(text, 0), MAX_CALLS)]
    for mark in _MARKS.finditer(text):
        if len(found) >= MAX_CALLS or (found and not mark.group().startswith(("<", "[TOOL"))):
            break
        calls = islice(_calls_at(text, mark.end()), MAX_CALLS - len(found))
        found += [(call, not mark.group().startswith("`")) for call in calls]
    return found


def _calls_at(text: str, start: int) -> Iterator[ToolCall]:
    """Calls in the JSON values that stand at a place, one after the other."""
    name = _NAME.match(text, start)
    start = name.end() if name else start
    while match := _BETWEEN.match(text, start):
        if text[match.end() : match.end() + 1] not in ("{", "["):
            return
        try:
            value, start = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return
        if name:
            value = {"name": name.group(1), "arguments": value}
        for item in value if isinstance(value, list) else [value]:
            if (call := _call_from(item)) is not None:
                yield call
        if name:
            return


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _call_from(value: Any) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):  # OpenAI's own shape
        value = value["function"]
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = _DECODER.decode(arguments)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value.get("name"), str) or not isinstance(arguments, dict):
        return None
    return ToolCall(value["name"], arguments)
