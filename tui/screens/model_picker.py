"""Choosing a model: what is installed, what could be, and whether this machine can hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import Input, OptionList, Static

from edgeai import EdgeAIError
from edgeai.machine import available_memory_bytes
from edgeai.model_list import USUAL_N_CTX, ModelFacts, all_models
from edgeai.safe_text import one_line
from edgeai.text_search import fold
from tui.screens.dialog import CANCEL, ListDialog
from tui.units import bytes_text, context_text, count_text

HEADINGS = ("", "model", "params", "size", "context", "licence", "takes", "fits")
WIDTHS = (2, 23, 7, 7, 8, 9, 8, 4)
RIGHT = ("params", "size", "context")
CLOSE = ("", "model", "params", "size")
"""Columns without a gap behind them: a number's own width makes it."""
GAP = "  "
FRAME = 5
"""Cells beside a row: border, padding, scrollbar."""


class ModelPicker(ListDialog["str | None"]):
    """Dismisses with the name of an installed model, or None. It fetches nothing: it says which command would.

    Args:
        rows: the models; None looks for them, in a thread.
        current: the name of the model in use; it is marked.
        available_bytes: memory that is free; None looks.
    """

    DEFAULT_CSS = """
    ModelPicker {
        & #heading { height: 1; color: $text-muted; text-wrap: nowrap; }
        & #note { height: 4; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Use it", priority=True), CANCEL]

    @dataclass
    class Found(Message):
        """The models were looked for.

        Attributes:
            error: why that failed; empty otherwise.
        """

        rows: Sequence[ModelFacts]
        available_bytes: int
        error: str = ""

    def __init__(
        self,
        rows: Sequence[ModelFacts] | None = None,
        current: str | None = None,
        available_bytes: int | None = None,
    ) -> None:
        super().__init__("Choose a model", "Type a part of a name, a licence, a language …")
        self._given = rows
        self._rows: Sequence[ModelFacts] = ()
        self._shown: Sequence[ModelFacts] = ()
        self._current = current
        self._available_bytes = available_bytes

    def compose_heading(self) -> ComposeResult:
        yield Static(id="heading", markup=False)

    def on_mount(self) -> None:
        self.say("Looking …")
        self._find()

    @work(thread=True)
    def _find(self) -> None:
        free = available_memory_bytes() if self._available_bytes is None else self._available_bytes
        try:
            self.post_message(self.Found(all_models() if self._given is None else self._given, free))
        except (EdgeAIError, OSError) as exc:
            self.post_message(self.Found((), free, one_line(str(exc))))

    @on(Found)
    def _found(self, event: Found) -> None:
        self._rows, self._available_bytes = event.rows, event.available_bytes
        self._show(highlight=self._current)
        if event.error:
            self.say(Content.styled(event.error, "$text-error"))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show()

    def on_resize(self, event: Resize) -> None:
        """The columns take the width there is."""
        if self._rows:
            at = self.choices.highlighted
            self._show(highlight=self._shown[at].name if at is not None else None)

    def _show(self, highlight: str | None = None) -> None:
        words = fold(self.filter_text).split()
        self._shown = [row for row in self._rows if all(word in _searched(row) for word in words)]
        widths = column_widths(min(self.app.size.width, 100) - FRAME)
        self.query_one("#heading", Static).update(Content(line_of(HEADINGS, widths)))
        lines = [self._line(row, widths) for row in self._shown]
        names = [row.name for row in self._shown]
        self.list_for(self.filter_text, lines, names.index(highlight) if highlight in names else 0)
        if not self._shown:
            self.say("No model matches.")

    def _line(self, row: ModelFacts, widths: Sequence[int]) -> Content:
        style = "bold" if row.name == self._current else "" if row.installed else "dim"
        return Content.styled(line_of(cells_of(row, in_use=row.name == self._current), widths), style)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        row = self._shown[event.option_index]
        self.say(Content("\n").join([Content(about(row)), self._fit(row), Content(how_to_use(row))]))

    def _fit(self, row: ModelFacts) -> Content:
        free = self._available_bytes or 0
        return Content.styled(fit_text(row, free), "$text-warning" if row.fits is False else "")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        row = self._shown[event.option_index]
        if row.installed and row.installed.exists and not row.problem:
            self.dismiss(row.name)
            return
        self.app.bell()
        self.say(Content.assemble(f"{about(row)}\n", (how_to_use(row), "bold $text-warning")))


def column_widths(n_cells: int) -> list[int]:
    """The columns for a list this wide: what is left over goes to the name and the licence."""
    widths = list(WIDTHS)
    spare = max(0, n_cells - sum(WIDTHS) - len(GAP) * (len(HEADINGS) - len(CLOSE) - 1))
    to_licence = min(spare, 12)
    widths[HEADINGS.index("licence")] += to_licence
    widths[HEADINGS.index("model")] += spare - to_licence
    return widths


def line_of(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The cells in their columns, wide characters counted as two."""
    padded = []
    for name, cell, width in zip(HEADINGS, cells, widths, strict=True):
        if cell_len(cell) > width:
            cell = set_cell_size(cell, width - 1) + "…"
        padded.append(cell.rjust(width) if name in RIGHT else set_cell_size(cell, width))
        if name not in CLOSE:
            padded.append(GAP)
    return "".join(padded).rstrip()


def cells_of(row: ModelFacts, *, in_use: bool) -> tuple[str, ...]:
    """A model as one line of the table; ▌ is in use, ● is installed."""
    return (
        "▌" if in_use else "●" if row.installed else "",
        one_line(row.name),
        count_text(row.parameters) if row.parameters else "?",
        bytes_text(row.size_bytes) if row.size_bytes else "?",
        context_text(row.n_ctx_train) if row.n_ctx_train else "?",
        one_line(row.licence).removesuffix(" License").removesuffix(" Terms of Use") or "?",
        "+".join({"image": "picture", "audio": "sound"}.get(kind, kind) for kind in row.modalities if kind != "text")
        or "text",
        {True: "yes", False: "no", None: "?"}[row.fits],
    )


def about(row: ModelFacts) -> str:
    """What the table has no room for, on one line."""
    parts = (row.title, row.ftype, row.licence, row.entry.notes if row.entry else "")
    return one_line(" · ".join(part for part in parts if part))


def fit_text(row: ModelFacts, available_bytes: int) -> str:
    """Whether the memory that is free holds it, with the numbers."""
    if row.memory_bytes is None:
        return "How much memory it needs is not known."
    n_ctx = min(USUAL_N_CTX, row.n_ctx_train or USUAL_N_CTX)
    needs = f"needs {bytes_text(row.memory_bytes)} of memory with n_ctx = {n_ctx:,}; {bytes_text(available_bytes)} free"
    return f"Fits: {needs}" if row.fits else f"Does not fit: {needs}"


def how_to_use(row: ModelFacts) -> str:
    """What to do to use it."""
    if row.problem:
        return f"Its file cannot be used: {one_line(row.problem)}"
    if row.installed and row.installed.exists:
        return "Installed: Enter uses it."
    if row.installed:
        return f"Its file is gone: edgeai models remove {one_line(row.name)}, then add it again."
    return f"Not installed. Fetch it with: edgeai models pull {one_line(row.name)}"


def _searched(row: ModelFacts) -> str:
    languages = row.entry.languages if row.entry else ()
    words = (row.name, row.title, row.licence, row.architecture, row.ftype, *row.modalities, *languages)
    return fold(" ".join((*words, "installed" if row.installed else "")))
