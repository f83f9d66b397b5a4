"""What a person does to the rows of an output: other labels, taken back, written as examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.app import App

from tui.classify_corrections import Corrections
from tui.classify_layout import Layout
from tui.classify_table import ResultRows
from tui.docs_words import counted
from tui.screens.choose import ChooseScreen
from tui.screens.save_examples import SaveExamples
from tui.widgets.result_table import ResultTable


class Correcting(App[None]):
    """The part of the table's application that corrects.

    Args:
        path: of the output.
        layout: what its columns are.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__()
        self._path, self._layout = path, layout
        self.rows = ResultRows(layout)
        self.corrections: Corrections | None = None

    @property
    def table(self) -> ResultTable:
        """The table."""
        return self.screen_stack[0].query_one(ResultTable)

    def say(self, note: str) -> None:
        """Write below the table."""
        raise NotImplementedError

    def show_item(self, number: int | None) -> None:
        """Show a row in full."""
        raise NotImplementedError

    def action_label(self, number: int) -> None:
        """Give the row the label of this number; of several labels put it there or take it away. 0 takes all away."""
        row, labels = self.table.current, self._layout.labels
        if self.corrections is None or row is None or number > len(labels) or (not number and not self._layout.multi):
            return
        wanted: tuple[str, ...] = labels[number - 1 : number] if number else ()
        if self._layout.multi and number:
            now = self.rows.labels(row)
            wanted = tuple(label for label in labels if (label in now) != (label == wanted[0]))
        self._correct(lambda corrections: corrections.set(row, wanted))

    def action_choose_label(self) -> None:
        """The same for more labels than there are keys."""
        notes = [f"key {number}" for number in range(1, min(len(self._layout.labels), 9) + 1)]

        def chosen(number: int | None) -> None:
            if number is not None:
                self.action_label(number + 1)

        self.push_screen(ChooseScreen("Which label is right?", self._layout.labels, notes), chosen)

    def action_undo(self) -> None:
        if self.corrections is not None and self.corrections.can_undo:
            self._correct(lambda corrections: self.table.go_to(corrections.undo()))

    def _correct(self, change: Callable[[Corrections], None]) -> None:
        assert self.corrections is not None
        note = ""
        try:
            change(self.corrections)
        except OSError as exc:
            note = f"not kept: {exc.strerror or exc}"
        self.table.changed()
        self.show_item(self.table.current)
        self.say(note)

    def action_export(self) -> None:
        """Write what was corrected as examples for the next run."""
        corrections = self.corrections
        if corrections is None or not len(corrections):
            self.say("nothing was corrected yet: keys 1 to 9 do, or l")
            return

        def chosen(path: Path | None) -> None:
            if path is None:
                return
            try:
                self.say(f"{counted(corrections.export(path), 'example')} written to {path}")
            except OSError as exc:
                self.say(f"{path}: {exc.strerror or exc}")

        default = self._path.with_name(self._path.stem + ".examples.jsonl")
        self.push_screen(SaveExamples(default, len(corrections)), chosen)
