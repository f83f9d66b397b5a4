"""Files of questions, read as if anybody had written them: what is wrong is told with the file and the line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.errors import DocumentError
from edgeai.regular_file import opened
from edgeai.safe_text import one_line

MAX_BYTES = 128 * 2**20
_MAX_SHOWN = 40
_MAX_FIELD_CHARS = 100_000  # below the limit that the csv module has at first, which is the whole process's


@dataclass(frozen=True, slots=True)
class Source:
    """A text file that was read whole.

    Attributes:
        path: the file.
        text: UTF-8; a byte order mark is left out.
        sha256: of its bytes.
    """

    path: Path
    text: str
    sha256: str

    @property
    def files(self) -> dict[str, str]:
        """As a subject names what it was read from."""
        return {str(self.path): self.sha256}

    def wrong(self, line: int | None, words: str) -> DocumentError:
        """The error at a line, counted from 1."""
        place = "" if line is None else f", line {line}"
        return DocumentError(f"{one_line(str(self.path))}{place}: {words}")


def read_source(path: Path, what: str) -> Source:
    """Read a file of text.

    Args:
        path: the file.
        what: is expected there, such as "a CSV file of questions".
    Raises:
        DocumentError: there is none, it is no regular file, empty, too large, or not UTF-8.
    """
    try:
        with opened(path, what, MAX_BYTES, DocumentError) as (file, _):
            data = bytearray()
            while len(data) <= MAX_BYTES and (piece := file.read(1 << 20)):
                data += piece
    except DocumentError as exc:
        raise DocumentError(f"{one_line(str(path))}: {exc}") from exc
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{one_line(str(path))}: it grew beyond {MAX_BYTES:,} bytes while it was read: try again")
    source = Source(path, "", hashlib.sha256(data).hexdigest())
    try:
        return Source(path, data.decode("utf-8-sig"), source.sha256)
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise source.wrong(line, f"byte 0x{data[exc.start]:02x} is not UTF-8: save the file as UTF-8") from exc


def csv_rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV file, each with the line at which it begins; empty rows are left out.

    Raises:
        DocumentError: no CSV.
    """
    reader, line = csv.reader(io.StringIO(source.text, newline="")), 1
    try:
        for row in reader:
            if any(len(field) > _MAX_FIELD_CHARS for field in row):
                raise csv.Error(f"a field of more than {_MAX_FIELD_CHARS:,} characters")
            if any(field.strip() for field in row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as exc:
        raise source.wrong(line, f"no CSV ({one_line(str(exc))}): expected fields with commas between them") from exc


def json_lines(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file, each with its line; empty lines are left out.

    Raises:
        DocumentError: a line is no JSON object.
    """
    for line, text in enumerate(source.text.split("\n"), 1):
        if text.strip():
            yield line, json_object(source, text, line)


def json_object(source: Source, text: str, line: int | None = None) -> dict[str, Any]:
    """One JSON object.

    Raises:
        DocumentError: it is none.
    """
    try:
        found = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as exc:
        if line is None and isinstance(exc, json.JSONDecodeError):
            line = exc.lineno
        raise source.wrong(line, f"no JSON ({one_line(str(exc))[:80]}): expected an object") from exc
    if not isinstance(found, dict):
        raise source.wrong(line, f"{shown(found)}: expected a JSON object")
    return found


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number")


def text_field(source: Source, line: int | None, data: dict[str, Any], name: str, *, may_be_empty: bool = False) -> str:
    """A text of an object.

    Raises:
        DocumentError: it is missing, no text, or empty.
    """
    value = data.get(name)
    if not isinstance(value, str) or not (may_be_empty or value.strip()):
        raise source.wrong(line, f"{name!r} is {shown(value)}: expected a text")
    return printable(value)


def printable(text: str) -> str:
    """The text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def shown(value: object) -> str:
    """A value in an error, shortened."""
    text = "missing" if value is None else one_line(repr(value))
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def files_in(path: Path, is_one: Callable[[Path], bool], what: str) -> list[Path]:
    """The files that a path stands for: itself, or those of a folder by name, without those below it.

    Raises:
        DocumentError: there is none.
    """
    try:
        if not path.is_dir():
            return [path]
        found = sorted(each for each in path.iterdir() if is_one(each) and each.is_file())
    except (OSError, ValueError) as exc:
        raise DocumentError(f"{one_line(str(path))}: cannot be looked at: expected {what}; check the path") from exc
    if not found:
        raise DocumentError(f"{one_line(str(path))}: no file in this folder is {what}: name another folder, or a file")
    return found
