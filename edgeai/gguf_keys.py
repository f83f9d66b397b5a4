"""Access to a header's keys that refuses values of the wrong kind or range."""

from __future__ import annotations

from typing import Any, NoReturn

from edgeai.gguf_reader import HeaderReader
from edgeai.gguf_types import GGUFHeader

MAX_WIDTH = 2**24
"""No vector of a model is longer, elements."""

MAX_LAYERS = 512
"""LLAMA_MAX_LAYERS: the length of llama.cpp's arrays."""

MAX_COUNT = 2**31 - 1
"""llama.cpp keeps lengths and counts in 32 bits, some of them signed."""

UNSET = 2**32 - 1
"""How llama.cpp writes a number that it has none for: -1 in 32 bits."""


class Keys:
    """The keys of a header's own architecture, by names without its prefix.

    Attributes:
        header: what has been read.
        reader: for messages, and for arrays that stay in the file.
    """

    def __init__(self, header: GGUFHeader, reader: HeaderReader) -> None:
        self.header = header
        self.reader = reader

    def count(self, name: str, low: int, high: int, *, required: bool = True) -> Any:
        """A number from low to high; None where a key that is not required is missing."""
        value = self.header[name]
        if value is None and not required:
            return None
        if not _is_count(value) or not low <= value <= high:
            self.fail(name, value, f"a number from {low} to {high:,}")
        return value

    def per_layer(self, name: str, n_layer: int) -> tuple[int, ...] | None:
        """One number for each layer, whether the header has one for all or an array; None where it is missing."""
        value = self.header[name]
        if value is None:
            return None
        if _is_count(value) and value <= MAX_WIDTH:
            return (value,) * n_layer
        if not all_counts(value, n_layer) or len(value) != n_layer:
            self.fail(name, value, f"a number, or {n_layer} numbers")
        return tuple(value)

    def divides(self, name: str, value: int, whole: int, of: str) -> None:
        """Refuse a number that does not divide another; `of` names that one."""
        if not value or whole % value:
            self.fail(name, value, f"a divisor of {of} = {whole}")

    def fail(self, name: str, value: object, expected: str, advice: str = "") -> NoReturn:
        """Raise ModelFormatError for a key."""
        problem = f"{self.header.architecture}.{name} = {shortened(value)}, expected {expected}"
        if advice:
            self.reader.fail(problem, advice)
        self.reader.fail(problem)


def all_counts(value: object, at_most: int) -> bool:
    """Whether a value is a short array of numbers that can be counts."""
    return (
        isinstance(value, tuple)
        and len(value) <= at_most
        and all(_is_count(item) and item <= MAX_WIDTH for item in value)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def shortened(value: object) -> str:
    """A hostile value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
