"""What kind of values the columns of some rows hold, which Parquet wants to know beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgeai.errors import DocumentError
from edgeai.records.types import MAX_COLUMNS

Kind = Literal["text", "int", "float", "bool", "json", "texts"]
"""`json`: values of several kinds, objects and arrays, as their JSON; `texts`: a list of texts."""

_MOST_INT = 2**63


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is written.

    Attributes:
        name: of it.
        kind: of its values, any of which may be None.
        type: its own in Arrow, of what came from Parquet.
    """

    name: str
    kind: Kind = "text"
    type: Any = None


class ColumnKinds:
    """Collects the columns of rows, in the order in which they come up."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._kinds: dict[str, Kind | None] = dict.fromkeys(names)

    def see(self, values: Mapping[str, Any]) -> None:
        """Another row.

        Raises:
            DocumentError: there are too many columns by now.
        """
        for name, value in values.items():
            known = self._kinds.get(name)
            if value is not None and known != "json":
                kind = _kind(value)
                self._kinds[name] = kind if known in (None, kind) else _both(known, kind)
            elif name not in self._kinds:
                self._kinds[name] = None
        if len(self._kinds) > MAX_COLUMNS:
            raise DocumentError(f"its rows have more than {MAX_COLUMNS:,} columns together: expected fewer")

    def columns(self) -> list[Column]:
        """Those that were seen; one without any value holds texts."""
        return [Column(name, kind or "text") for name, kind in self._kinds.items()]


def _kind(value: Any) -> Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_MOST_INT <= value < _MOST_INT else "json"
    return "float" if isinstance(value, float) else "text" if isinstance(value, str) else "json"


def _both(one: Kind | None, other: Kind) -> Kind:
    return "float" if {one, other} == {"int", "float"} else "json"
