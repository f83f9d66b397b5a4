"""Tools: functions that a model may ask for, described by their signatures, called with what it wrote."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from typing import Any

from edgeai.errors import SchemaError
from edgeai.messages import ToolCall
from edgeai.tool_calls import find_calls
from edgeai.tool_schema import hints_of, parameters_schema, problem_with, to_hint

MAX_RESULT_CHARS = 20_000
MAX_ERROR_CHARS = 500


class ToolBox:
    """The tools of one answer.

    Attributes:
        schemas: what the chat template is given, in OpenAI's shape.
    """

    def __init__(self, tools: Sequence[Callable[..., Any]]) -> None:
        """Describe functions.

        Args:
            tools: functions with type hints (str, int, float, bool, list, dict, Literal, Enum, Optional); the first
                paragraph of the docstring and its `Args:` section tell the model what they are for.

        Raises:
            SchemaError: a parameter has no type hint, or one that JSON cannot carry; two tools have the same name; a
                function is async.
        """
        if callable(tools):
            raise SchemaError(f"tools: expected a list of functions, as in tools=[{getattr(tools, '__name__', '…')}]")
        self._functions: dict[str, Callable[..., Any]] = {}
        self._parameters: dict[str, Mapping[str, Any]] = {}
        self.schemas: list[dict[str, Any]] = []
        for function in tools:
            name = getattr(function, "__name__", "")
            if not callable(function) or not name.isidentifier():
                raise SchemaError(f"tools: {function!r} is not a named function")
            if name in self._functions:
                raise SchemaError(f"tools: {name} is there twice; every tool needs a name of its own")
            description, parameters = parameters_schema(function)
            self._functions[name], self._parameters[name] = function, parameters
            schema = {"name": name, "description": description, "parameters": parameters}
            self.schemas.append({"type": "function", "function": schema})

    def parse(self, text: str) -> tuple[ToolCall, ...]:
        """The calls that a model's text asks for; none where it is an ordinary answer.

        A call of no tool of this box, or with wrong arguments, says so in its `error`. JSON that is not marked as a
        call and names no tool is an ordinary answer.
        """
        calls = (call for call, marked in find_calls(text) if marked or call.name in self._functions)
        return tuple(replace(call, error=self._problem(call)) for call in calls)

    def run(self, call: ToolCall) -> str:
        """Call a tool.

        Returns:
            The result as JSON (text as it is). Wrong calls and the tool's own exceptions become a text beginning with
            "error:", which the model reads and may mend.
        """
        if problem := self._problem(call):
            return f"error: {problem}"
        function = self._functions[call.name]
        hints = hints_of(function)
        try:
            result = function(**{name: to_hint(value, hints[name]) for name, value in call.arguments.items()})
            text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=_plain)
        except Exception as exc:  # noqa: BLE001 - whatever the tool raises, the model is told
            return f"error: {call.name}: {type(exc).__name__}: {exc}"[:MAX_ERROR_CHARS]
        return text if len(text) <= MAX_RESULT_CHARS else text[:MAX_RESULT_CHARS] + " … (cut)"

    def _problem(self, call: ToolCall) -> str:
        """Why a call cannot be run; "" for a good one."""
        if call.name not in self._functions:
            names = ", ".join(self._functions)
            return f"there is no tool {call.name[:64]!r}: expected one of {names}"[:MAX_ERROR_CHARS]
        problem = problem_with(dict(call.arguments), self._parameters[call.name])
        return f"{call.name}: {problem}"[:MAX_ERROR_CHARS] if problem else ""


def _plain(value: Any) -> Any:
    """What JSON can carry of a tool's result."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, enum.Enum):
        return value.value
    return list(value) if isinstance(value, (set, frozenset, tuple)) else str(value)
