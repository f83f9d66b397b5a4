"""Classified rows as they are printed: aligned lines for people, JSONL for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from edgeai.records.write import json_line
from edgeai.safe_text import one_line
from tui.classify_rows import Added, Result
from tui.output import wants_color
from tui.progress_line import ProgressLine

_MOST_LABEL_CELLS = 24
_SHARE = "{:4.0%}"
_FEWEST_CELLS = 20


class RowPrinter:
    """Prints a row at a time.

    Args:
        added: what results look like.
        column: of the text.
        as_json: JSONL, which is printed where no terminal is, too.
        line: of progress, which gives way.
    """

    def __init__(self, added: Added, column: str, line: ProgressLine, *, as_json: bool) -> None:
        self._added, self._column, self._line = added, column, line
        self._is_terminal = sys.stdout.isatty()
        self._as_json = as_json or not self._is_terminal
        self._color = wants_color(sys.stdout)
        self._n_cells = max(_FEWEST_CELLS, shutil.get_terminal_size().columns - 1)
        widest = max(cell_len(one_line(label)) for label in added.labels)
        self._label_cells = min(_MOST_LABEL_CELLS, max(widest, len("label")))
        self._is_begun = False

    def show(self, values: Mapping[str, Any], result: Result) -> None:
        """One row."""
        self._line.clear()
        if self._as_json:
            given = self._added.values(result)
            if not result[3]:
                given.pop(self._added.prefix + "error")
            line = json_line({**values, **given})
            click.echo(_inert(line) if self._is_terminal else line)
            return
        if not self._is_begun:
            self._is_begun = True
            click.echo(self._styled(f"{self._cut('label')}     %  {self._column_name}", bold=True))
        numbers, shares, _, error = result
        label = ", ".join(one_line(self._added.labels[number]) for number in numbers) or ("error" if error else "–")
        share = _SHARE.format(max(shares)) if shares else "    "
        text = one_line(error or str(values.get(self._column, "")))
        room = self._n_cells - self._label_cells - len("  100%  ")
        shown = text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…"
        color = {"fg": "red"} if error else {"bold": True} if numbers else {"dim": True}
        click.echo(f"{self._styled(self._cut(label), **color)}  {share}  {shown}".rstrip())

    @property
    def _column_name(self) -> str:
        return one_line(self._column)[:40]

    def _cut(self, text: str) -> str:
        cells = self._label_cells
        return set_cell_size(text if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…", cells)

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._color else text


def _inert(line: str) -> str:
    """The same JSON, with escapes for what a terminal could act on."""
    return line if line.isprintable() else "".join(
        char if char.isprintable() else json.dumps(char)[1:-1] for char in line
    )  # fmt: skip
