"""The rows to be classified: which column, which of them have a text, and what is written beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from edgeai.classify.types import Classification
from edgeai.errors import OptionError
from edgeai.records.columns import Column, ColumnKinds
from edgeai.records.read import Records
from edgeai.records.types import TEXT, BrokenRow, Row
from edgeai.safe_text import one_line

Result = list[Any]
"""What is kept of a classification: [numbers of its labels, probabilities, margin, error]."""

_N_LOOKED_AT = 100
_N_TOLD = 20
_DIGITS = 6


def text_column(records: Records, wanted: str | None) -> str:
    """The column that is classified.

    Raises:
        OptionError: there is none of that name, or none that is the only one.
    """
    columns = records.columns
    if columns is None and records.source.is_kept:  # JSONL
        rows = (row for row in records if isinstance(row, Row))
        columns = list(dict.fromkeys(name for row in islice(rows, _N_LOOKED_AT) for name in row.values))
    if columns is None or not columns:
        return wanted or TEXT
    if wanted is None and (TEXT in columns or len(columns) == 1):
        return TEXT if TEXT in columns else columns[0]
    if wanted not in columns:
        some = ", ".join(one_line(name)[:40] for name in columns[:12]) + (" …" if len(columns) > 12 else "")
        asked = f"--column {wanted[:80]!r}: no such column in" if wanted else "which column is the text? --column for"
        raise OptionError(f"{asked} {records.source.name}: expected one of: {some}")
    return wanted


class Inputs:
    """The rows of a file that are classified, numbered from 0; and what was seen of them.

    Attributes:
        kinds: of their columns.
        broken: the first rows that are none, of the last time they were read.
        n_broken: how many they are in all.
    """

    def __init__(self, records: Records, column: str, added: Sequence[str]) -> None:
        """
        Args:
            records: the rows.
            column: of the text.
            added: columns that will be written beside theirs.
        """
        self._records, self._column, self._added = records, column, added
        self.kinds = ColumnKinds(records.columns or ())
        self.broken: list[BrokenRow] = []
        self.n_broken = 0
        self._check(records.columns or ())

    def rows(self) -> Iterator[tuple[int, Row]]:
        """The rows that are whole.

        Raises:
            OptionError: one of them has a column that is to be added.
        """
        self.broken, self.n_broken, index = [], 0, 0
        for row in self._records:
            if isinstance(row, BrokenRow):
                self.n_broken += 1
                if len(self.broken) < _N_TOLD:
                    self.broken.append(row)
                continue
            if self._records.columns is None:
                self._check(row.values)
            self.kinds.see(row.values)
            yield index, row
            index += 1

    def text_of(self, row: Row) -> tuple[str, str]:
        """A row's text, and why it has none."""
        value = row.values.get(self._column)
        if isinstance(value, str):
            return (value, "") if value.strip() else ("", f"the {self._column!r} is empty")
        if isinstance(value, (int, float)):
            return str(value), ""
        if value is None:
            return "", f"no {self._column!r}"
        return "", f"{self._column!r} is no text"

    def columns(self) -> list[Column]:
        """Those of the input, once it was read."""
        schema = self._records.schema
        if schema is not None:
            return [Column(field.name, "text", field.type) for field in schema]
        if self._records.columns is not None:  # CSV and lines: all of it is text
            return [Column(name) for name in self._records.columns]
        return self.kinds.columns()

    def _check(self, names: Sequence[str] | Mapping[str, Any]) -> None:
        clash = next((name for name in self._added if name in names), None)
        if clash is not None:
            raise OptionError(
                f"{self._records.source.name}: it has a column {clash!r} already, which would be added: "
                "expected another name; give one before those that are added, as in --prefix ai_"
            )


@dataclass(frozen=True, slots=True)
class Added:
    """The columns that are added to rows.

    Attributes:
        labels: to choose from.
        multi: several may apply.
        prefix: before the columns' names.
    """

    labels: tuple[str, ...]
    multi: bool = False
    prefix: str = ""

    def columns(self) -> list[Column]:
        """All of them, the last one for errors."""
        first = [Column("labels", "texts")] if self.multi else [Column("label"), Column("probability", "float")]
        shares = [Column(f"p_{label}", "float") for label in self.labels]
        return [
            Column(self.prefix + column.name, column.kind)
            for column in (*first, Column("margin", "float"), *shares, Column("error"))
        ]

    def names(self) -> list[str]:
        """Their names."""
        return [column.name for column in self.columns()]

    def result(self, found: Classification) -> Result:
        """What is kept of a classification."""
        numbers = [self.labels.index(label) for label in found.labels]
        shares = [_rounded(found.probabilities.get(label)) for label in self.labels]
        return [numbers, [] if found.error else shares, _rounded(found.margin), found.error]

    def values(self, result: Result) -> dict[str, Any]:
        """The same as columns."""
        numbers, shares, margin, error = result
        names = [self.labels[number] for number in numbers]
        values: dict[str, Any] = {"labels": names} if self.multi else {"label": names[0] if names else None}
        if not self.multi:
            values["probability"] = max(shares, default=None)
        values["margin"] = None if error else margin
        values |= {f"p_{label}": shares[place] if shares else None for place, label in enumerate(self.labels)}
        values["error"] = error or None
        return {self.prefix + name: value for name, value in values.items()}


def failed(why: str) -> Result:
    """What is kept of a text that could not be classified."""
    return [[], [], None, why]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DIGITS)
