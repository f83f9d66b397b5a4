"""JSON Schemas from outside: what is in them, made ready for a grammar, and where they are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from edgeai.errors import SchemaError

MAX_SCHEMA_CHARS = 500_000
MAX_PARTS = 1000
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid", "unknown"}
)
"""Values of `format` that llguidance follows. Others say nothing, by the specification (Validation, section 7.2.1)."""

_DEFINITIONS = ("$defs", "definitions")
_OF_NAMES = (*_DEFINITIONS, "properties", "patternProperties", "dependentSchemas")
_OF_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_OPEN = ("additionalProperties", "unevaluatedProperties", "patternProperties", "minProperties")
_COMPOSED = ("anyOf", "oneOf", "$ref", "if")
_MAX_TRIALS = 300

Schema = dict[str, Any]


def parse_schema(value: Mapping[str, Any] | str) -> Schema:
    """A schema of its own from a dict or JSON text.

    Raises:
        SchemaError: no JSON, no object, too long or nested too deep.
    """
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(text) > MAX_SCHEMA_CHARS:
            raise SchemaError(f"a JSON Schema of {len(text):,} characters: expected at most {MAX_SCHEMA_CHARS:,}")
        schema = json.loads(text)
    except RecursionError as exc:
        raise SchemaError("the JSON Schema is nested too deep: expected fewer than 100 levels") from exc
    except (TypeError, ValueError) as exc:
        if isinstance(exc, SchemaError):
            raise
        raise SchemaError(f"the JSON Schema is not valid JSON: {exc}") from exc
    if isinstance(schema, dict):
        _check_sizes(schema)
    else:
        raise SchemaError(f"the JSON Schema is {json.dumps(schema)[:40]}: expected an object such as {{…}}")
    return schema


def _check_sizes(schema: Schema) -> None:
    """The time for a grammar grows with the square of the number of alternatives at one place."""
    for part in _walk(schema):
        for name in (*_OF_NAMES, *_OF_LISTS):
            value = part.get(name)
            if name not in _DEFINITIONS and isinstance(value, (dict, list)) and len(value) > MAX_PARTS:
                raise SchemaError(f"the JSON Schema has {len(value):,} {name} at one place: at most {MAX_PARTS:,}")


def prepare(schema: Schema) -> Schema:
    """The schema that a model's answer is to follow; whatever is valid against it is valid against the given one.

    - Objects that list their properties get no others, where the schema does not speak of others and is not composed
      of several: a small model that may invent properties does so without end.
    - Formats that are not known are dropped, as is `x-guidance`, with which a schema could undo our settings.
    """
    composed = any("allOf" in part or ("properties" in part and _has(part, _COMPOSED)) for part in _walk(schema))
    result: Schema = json.loads(json.dumps(schema))
    for part in list(_walk(result)):
        part.pop("x-guidance", None)
        if isinstance(part.get("format"), str) and part["format"] not in FORMATS:
            del part["format"]
        if not composed and _may_be_closed(part):
            part["additionalProperties"] = False
    return result


def _may_be_closed(part: Schema) -> bool:
    names, required = part.get("properties"), part.get("required", [])
    return (
        isinstance(names, dict)
        and isinstance(required, list)
        and all(isinstance(name, str) and name in names for name in required)
        and not _has(part, _OPEN)
    )


def find_fault(schema: Schema, problem: str, problem_of: Callable[[Schema], str]) -> tuple[str, str]:
    """The innermost part that is wrong by itself.

    Args:
        schema: a schema that is wrong.
        problem: what is wrong with it.
        problem_of: what is wrong with a schema; "" for nothing.

    Returns:
        Its place, such as `properties/age`, and what is wrong with it; "" for the whole schema.
    """
    definitions: Schema = {name: schema[name] for name in _DEFINITIONS if name in schema}
    place, part, n_trials = "", schema, 0
    while True:
        for child, name in _children(part):
            n_trials += 1
            if n_trials > _MAX_TRIALS or _refers_elsewhere(child):
                return place, problem
            if found := problem_of({**definitions, **child}):
                place, problem, part = f"{place}/{name}" if place else name, found, child
                break
        else:
            return place, problem


def _refers_elsewhere(schema: Schema) -> bool:
    """Whether a part means something else when it stands alone beside the definitions."""
    references = (part.get("$ref") for part in _walk(schema))
    beginnings = tuple(f"#/{name}/" for name in _DEFINITIONS)
    return any(isinstance(reference, str) and not reference.startswith(beginnings) for reference in references)


def _has(part: Schema, names: tuple[str, ...]) -> bool:
    return any(name in part for name in names)


def _walk(schema: Schema) -> Iterator[Schema]:
    """All schemas inside of a schema, itself first."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [child for child, _name in _children(part)]


def _children(part: Schema) -> Iterator[tuple[Schema, str]]:
    """The schemas directly inside of a schema, and their places in it."""
    for key in _OF_NAMES:
        if isinstance(part.get(key), dict):
            yield from ((child, f"{key}/{name}") for name, child in part[key].items() if isinstance(child, dict))
    for key in _OF_LISTS:
        if isinstance(part.get(key), list):
            yield from ((child, f"{key}/{n}") for n, child in enumerate(part[key]) if isinstance(child, dict))
    for key in _SINGLE:
        if isinstance(part.get(key), dict):
            yield part[key], key
