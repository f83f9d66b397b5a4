"""What rows are read from and written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edgeai.errors import OptionError
from edgeai.safe_text import one_line

Format = Literal["csv", "jsonl", "parquet", "lines"]
FORMATS: tuple[Format, ...] = get_args(Format)
TEXT = "text"
"""The only column of plain lines."""

MAX_ROW_CHARS = 1 << 22
MAX_COLUMNS = 2000

_SUFFIXES: dict[str, Format] = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".txt", ".text", ".lst"), "lines"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        line: where it begins in its file, from 1; of Parquet its number.
        values: by column.
    """

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """What stands where a row was expected.

    Attributes:
        line: as of rows.
        why: it is none; one line.
    """

    line: int
    why: str


def format_of(path: Path, default: Format | None = None) -> Format:
    """The format that a file's name tells.

    Raises:
        OptionError: it tells none, and there is no default.
    """
    found = _SUFFIXES.get(path.suffix.lower(), default)
    if found is None and path.is_dir():
        raise OptionError(f"{one_line(str(path))}: a folder: expected a file: .csv, .tsv, .jsonl, .parquet or .txt")
    if found is None:
        raise OptionError(
            f"{one_line(str(path))}: its name tells no format: expected .csv, .tsv, .jsonl, .parquet or .txt"
        )
    return found
