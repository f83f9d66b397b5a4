"""The filters and tests of chat templates.

Written anew where jinja2's own can be made to run for long or to fill the memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import jinja2.filters
from jinja2 import TemplateRuntimeError, Undefined

from edgeai.templating.meter import Meter
from edgeai.templating.operations import MAX_WIDTH, Operation, format_text, items_of, replace, text_of


def _list(meter: Meter, value: Any) -> list[Any]:
    if hasattr(value, "__len__"):
        meter.allow_items(len(value))
    return list(value)


def _reverse(meter: Meter, value: Any) -> Any:
    return value[::-1] if isinstance(value, str) else _list(meter, value)[::-1]


def _last(meter: Meter, value: Any) -> Any:
    items = value if hasattr(value, "__getitem__") else _list(meter, value)
    return items[-1] if len(items) else Undefined("there is no last item in an empty sequence")


def _first(_meter: Meter, value: Any) -> Any:
    return next(iter(value), Undefined("there is no first item in an empty sequence"))


def _default(_meter: Meter, value: Any, default: Any = "", boolean: bool = False) -> Any:
    return default if isinstance(value, Undefined) or (boolean and not value) else value


def _to_json(
    meter: Meter,
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers gives it to templates: not escaped for HTML."""
    if indent is not None and not (isinstance(indent, int) and 0 <= indent <= 16):
        raise TemplateRuntimeError("tojson takes an indent of 0 to 16")
    if separators is not None and max(map(len, separators)) > 16:
        raise TemplateRuntimeError("tojson takes separators of at most 16 characters")
    meter.check(value)
    if indent is not None:
        meter.spend(_n_indent(value, indent))
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _n_indent(value: Any, indent: int, depth: int = 1) -> int:
    """Characters of indentation that a value takes."""
    if not isinstance(value, (dict, list, tuple)):
        return 0
    parts = value.values() if isinstance(value, dict) else value
    return len(value) * indent * depth + sum(_n_indent(part, indent, depth + 1) for part in parts)


def _indent(meter: Meter, value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = text_of(meter, value)
    margin = width if isinstance(width, str) else " " * min(width, MAX_WIDTH)
    meter.allow_chars(len(text) + (text.count("\n") + 1) * len(margin))
    lines = (text + "\n").splitlines()
    rest = [margin + line if line or blank else line for line in lines[1:]]
    return (margin if first else "") + "\n".join([lines[0], *rest])


def _to_int(_meter: Meter, value: Any, default: int = 0, base: int = 10) -> int:
    try:
        if isinstance(value, str):
            return int(value[:MAX_WIDTH], base)
        return int(value)
    except (TypeError, ValueError):
        return _to_int(_meter, float(value), default) if _is_float(value) else default


def _to_float(_meter: Meter, value: Any, default: float = 0.0) -> float:
    return float(value) if _is_float(value) else default


def _is_float(value: Any) -> bool:
    try:
        return abs(float(value[:MAX_WIDTH] if isinstance(value, str) else value)) < float("inf")
    except (TypeError, ValueError, OverflowError):
        return False


def _round(_meter: Meter, value: float, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > 20 or method not in ("common", "ceil", "floor"):
        raise TemplateRuntimeError("round takes a precision of -20 to 20, and common, ceil or floor")
    if method == "common":
        return round(value, precision)
    scaled = value * 10.0**precision
    return (-(-scaled // 1) if method == "ceil" else scaled // 1) / 10.0**precision


def _sum(meter: Meter, value: Iterable[Any], start: float = 0) -> Any:
    numbers = [start, *_list(meter, value)]
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise TemplateRuntimeError("sum takes numbers")
    return sum(numbers)


def _of_text(method: Callable[..., Any]) -> Operation:
    def call(meter: Meter, value: Any, *args: Any) -> Any:
        return method(text_of(meter, value), *args)

    return call


def _join_values(meter: Meter, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    items = _list(meter, value)
    if attribute is not None:
        items = [item.get(attribute, "") if isinstance(item, dict) else item[attribute] for item in items]
    meter.check(items)
    meter.allow_chars(len(d) * len(items))
    return d.join(map(str, items))


FILTERS: dict[str, Operation] = {
    "abs": lambda _meter, value: abs(value),
    "capitalize": _of_text(str.capitalize),
    "count": lambda _meter, value: len(value),
    "d": _default,
    "default": _default,
    "first": _first,
    "float": _to_float,
    "format": lambda meter, value, *args, **kwargs: format_text(meter, text_of(meter, value), kwargs or args),
    "indent": _indent,
    "int": _to_int,
    "items": items_of,
    "join": _join_values,
    "last": _last,
    "length": lambda _meter, value: len(value),
    "list": _list,
    "lower": _of_text(str.lower),
    "replace": replace,
    "reverse": _reverse,
    "round": _round,
    "safe": _of_text(str),
    "string": _of_text(str),
    "sum": _sum,
    "title": _of_text(jinja2.filters.do_title),
    "tojson": _to_json,
    "trim": _of_text(str.strip),
    "upper": _of_text(str.upper),
}

LAZY_FILTERS = ("map", "reject", "rejectattr", "select", "selectattr")
"""jinja2's own: they call other filters and tests, or getters, which are guarded, and touch no item themselves."""

COMPARING_FILTERS = ("dictsort", "max", "min", "sort", "unique")
"""jinja2's own, to be given checked values only."""

# fmt: off
PLAIN_TESTS = (
    "boolean", "defined", "divisibleby", "even", "false", "float", "integer", "iterable", "mapping", "none", "number",
    "odd", "sameas", "sequence", "string", "true", "undefined",
)
COMPARING_TESTS = (
    "in", "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan", "<=", "le",
    "lower", "upper",
)
# fmt: on
