"""What a chat template may do with values: operators, methods and functions (edgeai.templating.filters has the rest).

All that Hugging Face's chat templates use is here, and asks the meter where it could run for long or fill the memory.
What is not here does not exist for a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from jinja2 import TemplateRuntimeError, Undefined
from jinja2.runtime import LoopContext
from jinja2.utils import Joiner, Namespace

from edgeai.errors import ChatTemplateError
from edgeai.templating.meter import Meter

Operation = Callable[..., Any]
MAX_INT_BITS = 4096
MAX_WIDTH = 1000
_SPEC = r"%(?:%|(?:\(\w+\))?[-#0 +]*\d{0,3}(?:\.\d{0,3})?[sdifgGeExXoc])"
_FORMAT = re.compile(rf"[^%]*(?:{_SPEC}[^%]*)*")
_TIME_FORMAT = re.compile(r"(?:[^%\x00]|%[-_0^#EO]?[a-zA-Z%]){0,200}")


class TemplateRefusedError(ChatTemplateError):
    """The template's own `raise_exception`: it does not take such a conversation."""


def one_line(text: object, limit: int = 300) -> str:
    """A foreign text for an error message: one line, no control characters, not long."""
    line = "".join(character if character.isprintable() else " " for character in str(text)[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


# --- operators ---


def _add(meter: Meter, left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        meter.allow_chars(len(left) + len(right))
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        meter.allow_items(len(left) + len(right))
    return left + right


def _multiply(meter: Meter, left: Any, right: Any) -> Any:
    if isinstance(right, (str, list, tuple)):
        left, right = right, left
    if isinstance(left, str) and isinstance(right, int):
        meter.allow_chars(len(left) * right)
    elif isinstance(left, (list, tuple)) and isinstance(right, int):
        meter.allow_items(len(left) * right)
    elif isinstance(left, int) and isinstance(right, int):
        _allow_bits(left.bit_length() + right.bit_length())
    return left * right


def _power(_meter: Meter, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        _allow_bits(left.bit_length() * max(right, 1))
    return left**right


def _remainder(meter: Meter, left: Any, right: Any) -> Any:
    if isinstance(left, str):
        return format_text(meter, left, right)
    return left % right


def format_text(meter: Meter, pattern: str, values: Any) -> str:
    """The operator `%` of strings, without widths over 999, `*` and `%r`."""
    if not _FORMAT.fullmatch(pattern):
        raise TemplateRuntimeError(f"{one_line(pattern, 40)!r} is no format that chat templates may use")
    meter.check(values)
    parts = values.values() if isinstance(values, dict) else values if isinstance(values, tuple) else (values,)
    meter.allow_chars(len(pattern) + pattern.count("%") * (MAX_WIDTH + sum(map(_n_chars, parts))))
    text: str = pattern % values
    return text


def _n_chars(value: Any) -> int:
    """At most how many characters a checked value has as text."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (dict, list, tuple)):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return 4 + sum(10 * _n_chars(part) + 4 for part in parts)  # a character may be printed as \U0010FFFF
    return MAX_INT_BITS


def _allow_bits(n_bits: int) -> None:
    if n_bits > MAX_INT_BITS:
        raise TemplateRuntimeError(f"a number of {n_bits:.3g} bits is too large")


OPERATORS: dict[str, Operation] = {"+": _add, "*": _multiply, "**": _power, "%": _remainder}


# --- methods of str, dict and list ---


def text_of(meter: Meter, value: Any) -> str:
    return value if isinstance(value, str) else str(meter.check(value))


def items_of(meter: Meter, value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Undefined):
        return []
    meter.spend(64 * len(value))
    return list(value.items())


def replace(meter: Meter, text: str, old: str, new: str, count: int | None = -1) -> str:
    """The method, and the filter of the same name, which may say None."""
    text = text_of(meter, text)
    if len(new) > len(old):
        meter.allow_chars(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


def _join(meter: Meter, separator: str, values: Iterable[str]) -> str:
    values = list(values)
    meter.allow_chars(sum(map(len, values)) + len(separator) * len(values))
    return separator.join(values)


def _split(method: Callable[..., list[str]]) -> Operation:
    def split(meter: Meter, text: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
        if sep:
            meter.allow_items(text.count(sep))
        meter.spend(8 * len(text))
        return method(text, sep, maxsplit)

    return split


def _splitlines(meter: Meter, text: str, keepends: bool = False) -> list[str]:
    meter.spend(8 * len(text))
    return text.splitlines(keepends)


def _pad(method: Callable[..., str]) -> Operation:
    def pad(_meter: Meter, text: str, width: int, *fill: str) -> str:
        if width > MAX_WIDTH:
            raise TemplateRuntimeError(f"a width of {width:.3g} is over {MAX_WIDTH}")
        return method(text, width, *fill)

    return pad


def _plain(method: Callable[..., Any]) -> Operation:
    def call(_meter: Meter, value: Any, *args: Any) -> Any:
        return method(value, *args)

    return call


def _checked(method: Callable[..., Any]) -> Operation:
    """A method that compares or hashes its arguments, or the value itself."""

    def call(meter: Meter, value: Any, *args: Any) -> Any:
        return method(meter.check(value) if isinstance(value, (list, tuple)) else value, *map(meter.check, args))

    return call


# fmt: off
_STR_METHODS: tuple[Callable[..., Any], ...] = (
    str.strip, str.lstrip, str.rstrip, str.removeprefix, str.removesuffix,
    str.startswith, str.endswith, str.find, str.rfind, str.index, str.rindex, str.count,
    str.partition, str.rpartition, str.lower, str.upper, str.title, str.capitalize, str.swapcase, str.casefold,
    str.isdigit, str.isdecimal, str.isnumeric, str.isalpha, str.isalnum, str.isspace, str.islower, str.isupper,
)
# fmt: on

METHODS: dict[type, dict[str, Operation]] = {
    str: {
        **{method.__name__: _plain(method) for method in _STR_METHODS},
        **{method.__name__: _pad(method) for method in (str.center, str.ljust, str.rjust, str.zfill)},
        "split": _split(str.split),
        "rsplit": _split(str.rsplit),
        "splitlines": _splitlines,
        "replace": replace,
        "join": _join,
    },
    dict: {
        "items": items_of,
        "keys": lambda _meter, value: list(value),
        "values": lambda _meter, value: list(value.values()),
        "get": lambda meter, value, key, default=None: value.get(meter.check(key), default),
    },
    list: {"index": _checked(list.index), "count": _checked(list.count)},
    tuple: {"index": _checked(tuple.index), "count": _checked(tuple.count)},
    LoopContext: {"cycle": _checked(LoopContext.cycle), "changed": _checked(LoopContext.changed)},
}


# --- functions ---


def _range(meter: Meter, *args: int) -> list[int]:
    numbers = range(*args)
    meter.allow_items(len(numbers))
    return list(numbers)


def _raise_exception(_meter: Meter, message: object = "") -> None:
    words = one_line(message) if isinstance(message, str) else "no reason given"
    raise TemplateRefusedError(f"the chat template refuses this conversation: {words}")


def _strftime_now(_meter: Meter, pattern: str) -> str:
    if not _TIME_FORMAT.fullmatch(pattern):
        raise TemplateRuntimeError(f"{one_line(pattern, 40)!r} is no format for a time")
    return datetime.now().strftime(pattern)


FUNCTIONS: dict[str, Operation] = {
    "range": _range,
    "dict": lambda meter, /, *args, **kwargs: dict(*map(meter.check, args), **kwargs),
    "namespace": lambda meter, /, *args, **kwargs: Namespace(*map(meter.check, args), **kwargs),
    "joiner": lambda _meter, sep=", ": Joiner(sep),
    "raise_exception": _raise_exception,
    "strftime_now": _strftime_now,
}
