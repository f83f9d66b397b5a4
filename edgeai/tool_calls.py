"""Finding the calls in what a model wrote; every family marks them in its own way.

Nothing is ever evaluated: a call is JSON with a name and arguments, or it is text.

Sources of the shapes: the chat templates of Qwen 2.5 and 3 and of Hermes (`<tool_call>` … `</tool_call>`), SmolLM2
(`<tool_call>` with a list), Llama 3.1 (bare JSON with `parameters`), Mistral (`[TOOL_CALLS]`), Phi-4-mini
(`<|tool_call|>` … `<|/tool_call|>`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from edgeai.messages import ToolCall

MAX_CALLS = 16
_MAX_CHARS = 100_000
_MARKS = re.compile(r"<tool_call>|<\|tool_call\|>|\[TOOL_CALLS\]|```(?:json|tool_call)?\s*|<\|python_tag\|>")


def find_calls(text: str) -> list[ToolCall]:
    """The calls in a text, at most MAX_CALLS; none where it is no call from its start, or from a mark on."""
    text = text[:_MAX_CHARS].strip()
    found: list[ToolCall] = []
    if text.startswith(("{", "[")) and not text.startswith("[TOOL_CALLS]"):
        found = list(_calls_at(text, 0))
    for mark in _MARKS.finditer(text):
        if found and not mark.group().startswith("<"):
            break
        found += _calls_at(text, mark.end())
    return found[:MAX_CALLS]


def _calls_at(text: str, start: int) -> Iterator[ToolCall]:
    """Calls in the JSON values that stand at a place, one after the other."""
    decoder = json.JSONDecoder()
    while start < len(text):
        start += len(text[start:]) - len(text[start:].lstrip(" \n\r\t;,"))
        if text[start : start + 1] not in ("{", "["):
            return
        try:
            value, start = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        for item in value if isinstance(value, list) else [value]:
            if (call := _call_from(item)) is not None:
                yield call


def _call_from(value: Any) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):  # OpenAI's own shape
        value = value["function"]
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value.get("name"), str) or not isinstance(arguments, dict):
        return None
    return ToolCall(value["name"], arguments)
