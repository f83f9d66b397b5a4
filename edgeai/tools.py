"""Tools: functions that a model may ask for, described by their signatures, called with what it wrote."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgeai.errors import SchemaError
from edgeai.messages import ToolCall
from edgeai.tool_calls import find_calls
from edgeai.tool_schema import hints_of, parameters_schema, problem_with, to_hint

MAX_RESULT_CHARS = 20_000


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
            SchemaError: a parameter has no type hint, or one that JSON cannot carry; two tools have the same name.
        """
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

        Text that has the form of a call but names no tool of this box is an ordinary answer.
        """
        return tuple(call for call in find_calls(text) if call.name in self._functions)

    def run(self, call: ToolCall) -> str:
        """Call a tool.

        Returns:
            The result as JSON (text as it is). Wrong arguments and the tool's own exceptions become a text beginning
            with "error:", which the model reads and may mend.
        """
        if problem := problem_with(call.arguments, self._parameters[call.name]):
            return f"error: {call.name}: {problem}"
        function = self._functions[call.name]
        try:
            result = function(**_converted(function, call.arguments))
            text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
        except Exception as exc:  # noqa: BLE001 - whatever the tool raises, the model is told
            return f"error: {call.name}: {type(exc).__name__}: {exc}"
        return text if len(text) <= MAX_RESULT_CHARS else text[:MAX_RESULT_CHARS] + " … (cut)"


def _converted(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values as the function's hints want them: members of an Enum, floats written as whole numbers."""
    hints = hints_of(function)
    return {name: to_hint(value, hints[name]) for name, value in arguments.items() if name in _names(function)}


def _names(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)
