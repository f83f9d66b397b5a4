"""A function's signature and docstring as a JSON Schema, and arguments checked against it."""

from __future__ import annotations

import enum
import inspect
import re
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from edgeai.errors import SchemaError

_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """A function's type hints, resolved.

    Raises:
        SchemaError: a hint names something that does not exist.
    """
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, SyntaxError, AttributeError) as exc:
        raise SchemaError(f"tool {_name(function)}: its type hints cannot be read: {exc}") from exc


def parameters_schema(function: Callable[..., Any]) -> tuple[str, dict[str, Any]]:
    """A function's description and the schema of its parameters.

    Raises:
        SchemaError: naming the parameter and its hint.
    """
    if inspect.iscoroutinefunction(function):
        raise SchemaError(f"tool {_name(function)} is async: expected an ordinary function")
    hints = hints_of(function)
    description, told = _docstring(function)
    properties: dict[str, Any] = {}
    required = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise SchemaError(f"tool {_name(function)}: parameter {name!r} must be an ordinary one, given by name")
        if name not in hints:
            raise SchemaError(f"tool {_name(function)}: parameter {name!r} has no type hint")
        schema = _schema_of(hints[name], f"tool {_name(function)}: parameter {name!r}")
        if name in told:
            schema["description"] = told[name]
        properties[name] = schema
        if parameter.default is parameter.empty:
            required.append(name)
        elif isinstance(default := getattr(parameter.default, "value", parameter.default), (str, int, float)):
            schema["default"] = default
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return description, schema


def _schema_of(hint: Any, where: str) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    if origin is list and len(arguments) == 1:
        return {"type": "array", "items": _schema_of(arguments[0], where)}
    if origin is dict and len(arguments) == 2 and arguments[0] is str:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], where)}
    choices = _choices(hint)
    if choices and all(type(choice) in (str, int, float, bool, type(None)) for choice in choices):
        return {"enum": choices}
    if origin in (Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if one is type(None) else _schema_of(one, where) for one in arguments]}
    raise SchemaError(
        f"{where} has the type {getattr(hint, '__name__', hint)!s}: expected str, int, float, bool, list, dict, "
        "Literal, Enum or a union of them"
    )


def _choices(hint: Any) -> list[Any]:
    """The values of a Literal or an Enum; none for other hints."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [member.value for member in hint] if isinstance(hint, type) and issubclass(hint, enum.Enum) else []


def problem_with(value: Any, schema: Mapping[str, Any], where: str = "") -> str | None:
    """What is wrong with a JSON value, in a few words; None where it follows the schema made here."""
    name = where or "the arguments"
    shown = reprlib.repr(value)
    if "anyOf" in schema:
        if all(problem_with(value, one, where) for one in schema["anyOf"]):
            return f"{name} = {shown} has the wrong type"
        return None
    if "enum" in schema:
        known = any(
            value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in schema["enum"]
        )
        return None if known else f"{name} = {shown}: expected one of {schema['enum']}"
    kind = schema.get("type")
    if kind is not None and not _is(value, kind):
        return f"{name} = {shown}: expected {kind}"
    if kind == "array":
        items = enumerate(value)
        problems = (problem_with(item, schema.get("items", {}), f"{name}[{index}]") for index, item in items)
        return next(filter(None, problems), None)
    if kind == "object":
        return _problem_with_object(value, schema, where)
    return None


def _problem_with_object(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> str | None:
    properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    if missing := [name for name in schema.get("required", ()) if name not in value]:
        return f"{missing[0]!r} is missing"
    for name, item in value.items():
        one = properties.get(name, more)
        if one is False:
            return f"there is no parameter {reprlib.repr(name)}: expected {', '.join(properties) or 'none'}"
        if isinstance(one, Mapping) and (problem := problem_with(item, one, f"{where}.{name}" if where else name)):
            return problem
    return None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _PYTHON[kind])


def to_hint(value: Any, hint: Any) -> Any:
    """A checked JSON value as a hint wants it: an Enum's member, a whole number as int, a number as float."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is list:
        return [to_hint(item, arguments[0]) for item in value]
    if origin is dict:
        return {key: to_hint(item, arguments[1]) for key, item in value.items()}
    if origin in (Union, types.UnionType):
        fitting = (one for one in arguments if one is not type(None) and not problem_with(value, _schema_of(one, "")))
        return value if value is None else to_hint(value, next(fitting))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    return hint(value) if hint in (int, float) else value


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The first paragraph, and what the `Args:` section (Google style) says of each parameter."""
    text = inspect.getdoc(function) or ""
    description = " ".join(text.partition("\n\n")[0].split())
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", text, re.MULTILINE)
    told: dict[str, str] = {}
    name = ""
    for line in (section.group(1) if section else "").splitlines():
        if start := re.match(r"\s+(\w+)(?: \([^)]*\))?:\s*(.*)", line):
            name = start.group(1)
            told[name] = start.group(2)
        elif name:
            told[name] = f"{told[name]} {line.strip()}".strip()
    return description, told


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
