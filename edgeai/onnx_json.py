"""JSON files beside a graph, each of a stranger: bounded, and every value checked where it is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from edgeai.errors import ModelFormatError
from edgeai.model_record import is_bare_name
from edgeai.regular_file import opened

_MAX_NAME_CHARS = 100
_REQUIRED: Any = object()


class Fields:
    """An object of a JSON file.

    Attributes:
        path: the file, for messages.
    """

    def __init__(self, path: Path, values: Mapping[str, Any], prefix: str = "") -> None:
        self.path = path
        self._values = values
        self._prefix = prefix

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def get(self, name: str) -> Any:
        """A value as it stands there; None where there is none."""
        return self._values.get(name)

    def table(self, name: str, *, optional: bool = False) -> Fields:
        """An object in it."""
        value = self._values.get(name, {} if optional else None)
        if not isinstance(value, dict):
            self.fail(f"{self._prefix}{name[:60]} = {str(value)[:60]}, expected an object")
        return Fields(self.path, value, f"{self._prefix}{name[:60]}.")

    def number(self, name: str, least: int, most: int, otherwise: int | None = None) -> int:
        """A whole number within bounds."""
        value = self._values.get(name, otherwise)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            shown = "missing" if value is None else str(value)[:60] if not isinstance(value, int) else f"{value:.6g}"
            self.fail(f"{self._prefix}{name} is {shown}, expected a number from {least:,} to {most:,}")
        return value

    def text(self, name: str, otherwise: str, *, bare: bool = False, most: int = _MAX_NAME_CHARS) -> str:
        """A text of at most `most` characters; with `bare`, a file's name without a folder."""
        value = self._values.get(name, otherwise)
        if not isinstance(value, str) or len(value) > most or not (is_bare_name(value) or not bare):
            what = "a file's name without a folder" if bare else f"a text of at most {most} characters"
            self.fail(f"{self._prefix}{name} = {str(value)[:60]!r}, expected {what}")
        return value

    def pattern(self, name: str, otherwise: str) -> str:
        """A name with one %d for the layer in it."""
        value = self.text(name, otherwise)
        if value.count("%") != 1 or "%d" not in value:
            self.fail(f"{self._prefix}{name} = {value[:60]!r}, expected a name with %d for the layer")
        return value

    def bare_name(self, name: str) -> str:
        """A key that names a file beside this one."""
        if not is_bare_name(name) or len(name) > 2 * _MAX_NAME_CHARS:
            self.fail(f"{self._prefix[:-1]} names {name[:60]!r}, expected files' names without folders")
        return name

    def fail(self, what: str, advice: str = "build the folder again") -> NoReturn:
        """Refuse the file."""
        raise ModelFormatError(f"{self.path}: {what}: {advice}")


def read_json(path: Path, max_bytes: int) -> dict[str, Any]:
    """The object in a file.

    Raises:
        ModelFormatError: no regular file, too large, or no JSON object.
    """
    try:
        found = json.loads(read_bytes(path, max_bytes))
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, ModelFormatError):
            raise
        raise ModelFormatError(f"{path}: expected JSON, found none ({str(exc)[:100]}): copy it again") from exc
    if not isinstance(found, dict):
        raise ModelFormatError(f"{path}: expected a JSON object, found a {type(found).__name__}: copy it again")
    return found


def read_text(path: Path, max_bytes: int) -> str:
    """A file of UTF-8; what is none becomes U+FFFD.

    Raises:
        ModelFormatError: no regular file, or too large.
    """
    return read_bytes(path, max_bytes).decode("utf-8", "replace")


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """A file's content.

    Raises:
        ModelFormatError: no regular file, or too large.
    """
    try:
        with opened(path, path.name, max_bytes, ModelFormatError) as (file, _):
            data = b"".join(iter(lambda: file.read(2**20), b""))
    except ModelFormatError as exc:
        raise ModelFormatError(f"{path}: {exc}") from exc.__cause__
    return data[: max_bytes + 1]
