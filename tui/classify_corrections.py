"""Labels that a person has corrected: kept beside the output as they are made, and of use as examples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeai.files import write_text
from tui.classify_table import ResultRows

_MAX_BYTES = 1 << 28
Labels = tuple[str, ...]


class Corrections:
    """The corrections of one output's rows.

    They stand in a file beside it, one JSON object a line with the text, its label, the number of its row and the label
    that it had: `--examples` reads it as it is.

    Attributes:
        path: of the file.
        n_lost: corrections in the file that fit no row any more.
    """

    def __init__(self, rows: ResultRows, output_path: Path) -> None:
        self.path = output_path.with_name(output_path.name + ".corrections.jsonl")
        self.n_lost = 0
        self._rows = rows
        self._before: dict[int, Labels] = {}
        self._done: list[tuple[int, Labels]] = []
        self._take_up()

    def __len__(self) -> int:
        return len(self._before)

    def __contains__(self, number: object) -> bool:
        return number in self._before

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._done)

    def before(self, number: int) -> Labels | None:
        """The labels that a row had; None where it was not corrected."""
        return self._before.get(number)

    def set(self, number: int, labels: Sequence[str]) -> None:
        """Give a row other labels.

        Raises:
            OSError: it could not be kept; the row has them all the same.
        """
        old = self._rows.labels(number)
        if tuple(labels) != old:
            self._done.append((number, old))
            self._put(number, tuple(labels), old)
            self._keep()

    def undo(self) -> int:
        """Take the last correction back; the number of its row.

        Raises:
            OSError: as `set`.
        """
        number, labels = self._done.pop()
        self._put(number, labels, self._rows.labels(number))
        self._keep()
        return number

    def export(self, path: Path) -> int:
        """Write them as examples; how many they are."""
        write_text(path, "".join(_line(self._example(number)) for number in sorted(self._before)))
        return len(self._before)

    def _put(self, number: int, labels: Labels, old: Labels) -> None:
        first = self._before.setdefault(number, old)
        if labels == first:
            del self._before[number]
        self._rows.set_labels(number, labels)

    def _example(self, number: int) -> dict[str, Any]:
        layout, row = self._rows.layout, self._rows.row(number)
        labels = layout.labels_of(row[layout.label])
        answer = {"labels": list(labels)} if layout.multi else {"label": labels[0] if labels else None}
        return {"text": row[layout.text], **answer}

    def _keep(self) -> None:
        if not self._before:
            self.path.unlink(missing_ok=True)
            return
        entries = ({**self._example(number), "row": number, "was": self._before[number]} for number in self._before)
        write_text(self.path, "".join(map(_line, entries)))

    def _take_up(self) -> None:
        """What was corrected earlier, where the row still has that text."""
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.stat().st_size < _MAX_BYTES else ""
        except (OSError, ValueError):
            return
        for line in filter(None, text.split("\n")):
            try:
                self._apply(json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError):
                self.n_lost += 1

    def _apply(self, entry: Mapping[str, Any]) -> None:
        layout, number = self._rows.layout, entry["row"]
        labels = entry["labels"] if layout.multi else [entry["label"]]
        fits = isinstance(number, int) and 0 <= number < self._rows.n_rows and set(labels) <= {*layout.labels}
        if not fits or self._rows.row(number)[layout.text] != entry["text"]:
            raise ValueError("another row stands there")
        self._put(number, tuple(labels), self._rows.labels(number))


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
