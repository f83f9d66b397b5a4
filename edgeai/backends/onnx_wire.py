"""Protobuf's wire format, read without a schema: enough to look through a graph before ONNX Runtime parses it.

Stricter than protobuf where that could hide something: no groups, and a message field that may stand there once only
(protobuf would merge two) is refused when it comes twice. Numbers that stand there twice: the last one counts.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN, _WRAP = 2**63, 2**64


class WireError(ValueError):
    """It is no protobuf message."""


class Message:
    """A message's fields by number. Messages and texts inside it stay as they are until they are asked for."""

    __slots__ = ("_fields",)

    def __init__(self, data: memoryview) -> None:
        self._fields: dict[int, list[int | memoryview]] = {}
        for number, value in _fields(data):
            self._fields.setdefault(number, []).append(value)

    def messages(self, number: int) -> Iterator[Message]:
        """Messages of a repeated field."""
        return (Message(data) for data in self._views(number))

    def message(self, number: int) -> Message | None:
        """The message of a field that may stand there once."""
        found = self._views(number)
        if len(found) > 1:
            raise WireError(f"field {number} stands there {len(found)} times")
        return Message(found[0]) if found else None

    def count(self, number: int) -> int:
        """How often a field stands there."""
        return len(self._fields.get(number, ()))

    def texts(self, number: int) -> list[str]:
        """Texts of a repeated field."""
        return [bytes(data).decode("utf-8", "replace") for data in self._views(number)]

    def text(self, number: int) -> str:
        """A text, "" where there is none."""
        found = self.texts(number)
        return found[-1] if found else ""

    def size(self, number: int) -> int:
        """Bytes of a field."""
        return sum(map(len, self._views(number)))

    def numbers(self, number: int) -> list[int]:
        """Signed numbers of a repeated field, packed or not."""
        found: list[int] = []
        for value in self._fields.get(number, ()):
            if isinstance(value, int):
                found.append(_signed(value))
                continue
            at = 0
            while at < len(value):
                item, at = _varint(value, at)
                found.append(_signed(item))
        return found

    def number(self, number: int) -> int | None:
        """A signed number, None where there is none."""
        values = self._fields.get(number)
        if not values:
            return None
        if not isinstance(values[-1], int):
            raise WireError(f"field {number} is no number")
        return _signed(values[-1])

    def _views(self, number: int) -> list[memoryview]:
        found = self._fields.get(number, [])
        views = [value for value in found if isinstance(value, memoryview)]
        if len(views) < len(found):
            raise WireError(f"field {number} is a number")
        return views


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if not 0 < number < 2**29:
            raise WireError(f"a field {number}")
        value: int | memoryview
        if kind == _VARINT:
            value, at = _varint(data, at)
        else:
            if kind == _BYTES:
                size, at = _varint(data, at)
            elif kind in (_FIXED32, _FIXED64):
                size = 4 if kind == _FIXED32 else 8
            else:
                raise WireError(f"a field of the kind {kind}")
            if size > end - at:
                raise WireError("it is cut off")
            value, at = data[at : at + size], at + size
        yield number, value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("it is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (_WRAP - 1), at
        shift += 7


def _signed(value: int) -> int:
    return value - _WRAP if value >= _SIGN else value
