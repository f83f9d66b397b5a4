"""The table of an output: sorted, filtered, read and corrected."""

from __future__ import annotations

import asyncio
import sys
import traceback
from array import array
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import rich.text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.events import Resize
from textual.widgets import Footer, Input, Static

from edgeai.errors import EdgeAIError
from edgeai.files import write_text
from edgeai.paths import data_dir
from edgeai.records.read import Records
from edgeai.safe_text import one_line, plain
from tui.classify_correcting import Correcting
from tui.classify_corrections import Corrections
from tui.classify_layout import Layout
from tui.docs_words import counted
from tui.screens.choose import ChooseScreen
from tui.screens.help import HelpScreen
from tui.themes import DARK, LIGHT
from tui.widgets.result_item import ResultItem
from tui.widgets.result_table import ResultTable
from tui.widgets.title import TitleBar

_WIDE = 120
_DEBOUNCE_S = 0.12
_TELL_S = 0.25
_ABOUT = (
    (
        "Corrections",
        "The file itself stays as it is. Corrections are kept beside it, in NAME.corrections.jsonl, as they are made, "
        "and are there again when it is opened the next time. Exported, they show the next run what is right: "
        "edgeai classify --examples FILE …",
    ),
)


class ResultApp(Correcting):
    """The table of an output.

    Args:
        path: of it.
        records: its rows.
        layout: what its columns are.
        theme: the name of a theme; None takes the dark one.
    """

    TITLE = "edgeai"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    #words { display: none; height: 1; padding: 0 1; background: $surface; }
    #words.-open { display: block; }
    #state { height: 1; padding: 0 1; color: $text-muted; background: $background; }
    #body { layout: vertical; height: 1fr; }
    ResultItem { height: 9; border-top: solid $panel; }
    ResultItem #shares { dock: right; width: 32; padding: 0 0 0 2; }
    Screen.-wide #body { layout: horizontal; }
    Screen.-wide ResultTable { width: 1fr; height: 100%; }
    Screen.-wide ResultItem { width: 40%; max-width: 90; height: 100%; border-top: none; border-left: vkey $panel; }
    Screen.-wide ResultItem #shares { dock: none; width: 1fr; padding: 0 0 1 0; }
    Screen.-whole ResultTable { display: none; }
    Screen.-whole ResultItem { width: 100%; max-width: 100%; height: 1fr; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Only rows with certain words; escape: all"),
        Binding("s", "sort", "Sort", tooltip="Sort by a column; a click on its head does, too"),
        Binding("r", "reverse", "Reverse", show=False, tooltip="The other way round"),
        Binding("enter", "whole", "Open", tooltip="The row on the whole screen; again: back"),
        Binding("l", "choose_label", "Label", key_display="1-9 l", tooltip="Correct the label: by number, or by name"),
        Binding("u", "undo", "Undo", tooltip="Take the last correction back"),
        Binding("x", "export", "Export", tooltip="Write what was corrected as examples"),
        Binding("question_mark", "help", "Help", tooltip="All keys"),
        Binding("escape", "leave", "Back", show=False, tooltip="Out of the row or of the filter"),
        Binding("q", "quit", "Quit", tooltip="Leave; corrections are kept"),
        Binding("ctrl+t", "toggle_theme", "Light or dark", show=False, priority=True),
        *(Binding(str(number), f"label({number})", show=False) for number in range(1, 10)),
        Binding("0", "label(0)", show=False),
    ]

    def __init__(self, path: Path, records: Records, layout: Layout, *, theme: str | None = None) -> None:
        super().__init__(path, layout)
        self.animation_level = "none"
        self._records = records
        self._sorted, self._descending, self._query = "", False, ""
        self._n_shown = 0
        self._note = ""
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = theme if theme in self.available_themes else DARK.name

    def compose(self) -> ComposeResult:
        yield TitleBar()
        yield Input(placeholder="Words that a row has", compact=True, id="words")
        with Container(id="body"):
            yield ResultTable(self._layout, self.rows.row, self._corrected)
            yield ResultItem(self._layout)
        yield Static(id="state", markup=False)
        yield Footer(show_command_palette=False)

    def _corrected(self, number: int) -> bool:
        return self.corrections is not None and number in self.corrections

    def on_mount(self) -> None:
        self.query_one(TitleBar).title = str(self._path)
        self.table.focus()
        self._reading = self.set_interval(_TELL_S, self._tell_reading)
        self._load()

    @property
    def item(self) -> ResultItem:
        """The row in full."""
        return self.screen_stack[0].query_one(ResultItem)

    def on_resize(self, event: Resize) -> None:
        """A wide terminal has the row in full beside the table."""
        self.screen_stack[0].set_class(event.size.width >= _WIDE, "-wide")

    # --- reading ---

    def _tell_reading(self) -> None:
        self.say(f"reading: {self.rows.n_rows:,} rows")
        if not self._n_shown and self.rows.n_rows:  # the first ones, while the others come
            self._arrange()

    @work(exclusive=True, group="load")
    async def _load(self) -> None:
        try:
            await asyncio.to_thread(self.rows.load, self._records)
        except EdgeAIError as exc:
            self.exit(return_code=1, message=rich.text.Text(f"error: {one_line(str(exc))}"))
            return
        self.corrections = await asyncio.to_thread(Corrections, self.rows, self._path)
        self._reading.stop()
        lost = self.corrections.n_lost
        self.say(f"{counted(lost, 'kept correction')} no row has any more" if lost else "")
        self._arrange()

    @work(exclusive=True, group="arrange")
    async def _arrange(self, wait_s: float = 0.0, *, to_top: bool = False) -> None:
        # A next key cancels this worker while it sleeps, so a word that is typed fast is looked for once.
        await asyncio.sleep(wait_s)
        asked = (self._sorted, self._descending, self._query)
        order: array[int] = await asyncio.to_thread(
            self.rows.order, self._sorted, descending=self._descending, query=self._query
        )
        if asked == (self._sorted, self._descending, self._query):
            self._n_shown = len(order)
            self.table.show(order, self._sorted, descending=self._descending, to_top=to_top)
            self._show_state()

    @on(ResultTable.Moved)
    def _moved(self, event: ResultTable.Moved) -> None:
        self.show_item(event.number)

    def show_item(self, number: int | None) -> None:
        """Show a row in full."""
        row = None if number is None else self.rows.row(number)
        was = self.corrections.before(number) if self.corrections is not None and number is not None else None
        self.item.show(row, was)

    # --- order and filter ---

    @on(ResultTable.SortBy)
    def _sort_by(self, event: ResultTable.SortBy) -> None:
        self._sort(event.column)

    def action_sort(self) -> None:
        """Choose the column that rows are sorted by; the same one again turns the order round."""
        names = ["(as in the file)", *self._layout.columns]

        def chosen(number: int | None) -> None:
            if number is not None:
                self._sort(names[number] if number else "")

        self.push_screen(ChooseScreen("Sort by", names), chosen)

    def _sort(self, column: str) -> None:
        self._descending = column == self._sorted and not self._descending
        self._sorted = column
        self._arrange(to_top=True)

    def action_reverse(self) -> None:
        self._descending = not self._descending
        self._arrange(to_top=True)

    def action_filter(self) -> None:
        field = self.screen.query_one("#words", Input)
        field.add_class("-open")
        field.focus()

    @on(Input.Changed, "#words")
    def _typed(self, event: Input.Changed) -> None:
        self._query = event.value
        self._arrange(_DEBOUNCE_S)

    @on(Input.Submitted, "#words")
    def _typed_all(self) -> None:
        self.table.focus()

    def action_leave(self) -> None:
        """Out of the whole item, else out of the filter."""
        if self.screen.has_class("-whole"):
            self.action_whole()
            return
        field = self.screen.query_one("#words", Input)
        field.value = ""
        field.remove_class("-open")
        self.table.focus()

    def action_whole(self) -> None:
        """The row in full on the whole screen, and back."""
        is_whole = not self.screen.has_class("-whole")
        self.screen.set_class(is_whole, "-whole")
        (self.item if is_whole else self.table).focus()

    def action_help(self) -> None:
        """Every key, and where corrections are."""
        self.push_screen(HelpScreen({"Table": self.BINDINGS, "Rows": ResultTable.BINDINGS}, _ABOUT))

    # --- words ---

    def say(self, note: str) -> None:
        """Write below the table."""
        self._note = note
        self._show_state()

    def _show_state(self) -> None:
        n_rows, n_shown = self.rows.n_rows, self._n_shown
        parts = [counted(n_rows, "row") if n_shown == n_rows else f"{n_shown:,} of {counted(n_rows, 'row')}"]
        if self._sorted:
            parts.append(f"by {one_line(self._sorted)[:30]} {'▼' if self._descending else '▲'}")
        if self.corrections is not None and len(self.corrections):
            parts.append(f"{len(self.corrections):,} corrected")
        if self.rows.n_broken:
            parts.append(counted(self.rows.n_broken, "broken row"))
        note = (f"{one_line(self._note)}  " if self._note else "", "$text-warning")  # first: the rest may be cut off
        text = Content.assemble(note, " · ".join(parts))
        self.screen_stack[0].query_one("#state", Static).update(text)

    def action_toggle_theme(self) -> None:
        """Change between light and dark."""
        self.theme = DARK.name if not self.current_theme.dark else LIGHT.name

    def on_unmount(self) -> None:
        self.rows.close()

    def _fatal_error(self) -> None:
        """A fault of ours: one line on the terminal, the details in a file, the terminal itself unharmed."""
        path = data_dir() / "crash.log"
        with suppress(OSError):
            write_text(path, traceback.format_exc())
        error = sys.exc_info()[1]
        line = f"error: the table stopped: {type(error).__name__}: {error} (details in {path}); corrections are kept"
        self._exit_renderables.append(rich.text.Text(plain(line)))
        self._close_messages_no_wait()
