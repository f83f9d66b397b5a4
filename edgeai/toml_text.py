"""TOML: read with the standard library's reader (or its backport), written for flat tables of plain values."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

_MAX_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ValueError: not TOML, not UTF-8, or larger than 1 MiB (such files are small; a huge one is not ours).
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError("larger than 1 MiB")
    document: dict[str, Any] = tomllib.loads(data.decode())
    return document


def toml_value(value: str | int | float | bool) -> str:
    """One value as TOML text."""
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
        value = value.encode(errors="replace").decode()  # lone surrogates (undecodable file names) are not TOML
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def toml_table(values: Mapping[str, str | int | float | bool | None]) -> str:
    """A flat table as TOML text; what is None is left out."""
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items() if value is not None)
