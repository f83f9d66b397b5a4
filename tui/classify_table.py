"""The rows of an output in a scratch database: a million of them sort and filter, and memory does not hold them."""

from __future__ import annotations

import json
import sqlite3
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgeai.records.read import Records
from edgeai.records.types import Row
from edgeai.records.write import json_line
from edgeai.text_search import fold
from tui.classify_layout import Layout

_N_ROWS = 2000
_MOST_INT = 2**63


class ResultRows:
    """Rows by their numbers, from 0, which they have in the file. Any thread may call it.

    Attributes:
        layout: what the columns are.
        n_rows: so many.
        n_broken: rows of the file that are none.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.n_rows = self.n_broken = 0
        self._names = {name: f"c{number}" for number, name in enumerate(layout.columns)}
        numbers = layout.numbers
        self._is_number = {name: name in numbers for name in layout.columns}
        self._lock = threading.Lock()
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # "": a file that nobody sees
        own = ", ".join(self._names.values())
        self._db.execute(f"CREATE TABLE rows (id INTEGER PRIMARY KEY, words, {own})")

    def load(self, records: Records) -> None:
        """Take all rows in; `n_rows` tells how many there are by now."""
        marks = ", ".join("?" * (len(self._names) + 2))
        waiting: list[list[Any]] = []
        for row in records:
            if not isinstance(row, Row):
                self.n_broken += 1
                continue
            waiting.append([self.n_rows, *self._cells(row.values)])
            self.n_rows += 1
            if len(waiting) >= _N_ROWS:
                self._insert(marks, waiting)
        self._insert(marks, waiting)

    def order(self, column: str, *, descending: bool, query: str) -> array[int]:
        """The numbers of the rows in which all words of a query are found.

        Args:
            column: that they are sorted by; "" for the file's own order.
            descending: the other way round. Rows without a value come last either way.
            query: words; "" finds all.
        """
        words = fold(query).split()
        where = " AND ".join(["instr(words, ?)"] * len(words)) or "1"
        way = "DESC" if descending else "ASC"
        own = self._names.get(column)
        by = f"{_by_value(own, way)}, id" if own else f"id {way}"
        with self._lock:
            return array("q", (number for (number,) in self._db.execute(
                f"SELECT id FROM rows WHERE {where} ORDER BY {by}", words
            )))  # fmt: skip

    def rows(self, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Some rows, in this order."""
        for number in numbers:
            with self._lock:
                found = self._db.execute(f"SELECT {', '.join(self._names.values())} FROM rows WHERE id = ?", (number,))
                yield dict(zip(self._names, found.fetchone(), strict=True))

    def row(self, number: int) -> dict[str, Any]:
        """One row."""
        return next(self.rows([number]))

    def labels(self, number: int) -> tuple[str, ...]:
        """The labels of a row, as they are now."""
        return self.layout.labels_of(self.row(number)[self.layout.label])

    def set_labels(self, number: int, labels: Sequence[str]) -> None:
        """Give a row other labels."""
        with self._lock:
            column = self._names[self.layout.label]
            self._db.execute(f"UPDATE rows SET {column} = ? WHERE id = ?", (self.layout.cell_of(labels), number))

    def close(self) -> None:
        """The rows are not needed any more."""
        with self._lock:
            self._db.close()

    def _cells(self, values: Mapping[str, Any]) -> Iterator[Any]:
        layout = self.layout
        cells = [
            layout.cell_of(layout.labels_of(values.get(name))) if name == layout.label
            else _number(values.get(name)) if is_number
            else _cell(values.get(name))
            for name, is_number in self._is_number.items()
        ]  # fmt: skip
        texts = (cell for cell, is_number in zip(cells, self._is_number.values(), strict=True) if not is_number)
        yield fold(" ".join(str(cell) for cell in texts if cell is not None))
        yield from cells

    def _insert(self, marks: str, waiting: list[list[Any]]) -> None:
        with self._lock:
            self._db.execute("BEGIN")
            self._db.executemany(f"INSERT INTO rows VALUES ({marks})", waiting)
            self._db.execute("COMMIT")
        waiting.clear()


def _by_value(own: str, way: str) -> str:
    """Numbers by their size, in CSV too, where they are texts; then texts. Rows without a value come last."""
    is_word = f"(typeof({own}) = 'text' AND {own} GLOB '*[^-0-9.]*')"
    return f"{own} IS NULL, {is_word} {way}, CAST({own} AS REAL) {way}, {own} COLLATE NOCASE {way}"


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _cell(value: Any) -> Any:
    """What SQLite can hold and sort; an empty field is nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or (isinstance(value, int) and not -_MOST_INT <= value < _MOST_INT):
        return json.dumps(value)
    if isinstance(value, (str, int, float)):
        return value
    return json.dumps(json.loads(json_line({"": value}))[""], ensure_ascii=False)
