"""Rows of an output, of which only those on the screen are read and drawn."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from edgeai.safe_text import one_line
from tui.classify_layout import Layout

_GAP = 2
_MOST_LABEL = 18
_OTHER = 14
_LEAST_TEXT = 24
_GOOD_TEXT = 70
_MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class _Shown:
    """A column on the screen."""

    name: str
    head: str
    width: int
    to_right: bool = False


class ResultTable(ScrollView, can_focus=True):
    """One line a row: label, probability, margin, text, and others where there is room.

    Args:
        layout: what the columns are.
        row: reads a row by its number.
        is_corrected: whether a person has corrected a row.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *("result--head", "result--cursor", "result--label", "result--corrected", "result--error", "result--dim")
    }
    DEFAULT_CSS = """
    ResultTable {
        height: 1fr;
        background: $background;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .result--head { color: $text-accent; background: $panel; text-style: bold; }
        & > .result--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
        & > .result--label { color: $primary; text-style: bold; }
        & > .result--corrected { color: $accent; text-style: bold; }
        & > .result--error { color: $text-error; }
        & > .result--dim { color: $foreground 60%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("pagedown,space", "move_page(1)", "Page down", show=False),
        Binding("home,g", "go(0)", "First", show=False),
        Binding("end,G", "go(-1)", "Last", show=False),
    ]

    @dataclass
    class Moved(Message):
        """The cursor stands on another row, or on none."""

        number: int | None

    @dataclass
    class SortBy(Message):
        """A column's head was clicked."""

        column: str

    def __init__(
        self, layout: Layout, row: Callable[[int], Mapping[str, Any]], is_corrected: Callable[[int], bool]
    ) -> None:
        super().__init__()
        self._layout, self._row, self._is_corrected = layout, row, is_corrected
        self._order: array[int] = array("q")
        self._cursor = 0
        self._sorted: tuple[str, bool] = ("", False)
        self._kept: dict[int, Mapping[str, Any]] = {}

    @property
    def current(self) -> int | None:
        """The number of the row under the cursor."""
        return self._order[self._cursor] if self._order else None

    def show(self, order: array[int], sorted_by: str, *, descending: bool, to_top: bool = False) -> None:
        """Other rows, or the same in another order; the cursor stays on its row if that is among them, but `to_top`."""
        current = None if to_top else self.current
        self._order, self._sorted = order, (sorted_by, descending)
        try:
            self._cursor = order.index(current) if current is not None else 0
        except ValueError:
            self._cursor = 0
        self.virtual_size = Size(self.size.width, len(order) + 1)
        self._go(self._cursor, told=True)

    def changed(self) -> None:
        """Rows have other values by now."""
        self._kept.clear()
        self.refresh()

    def go_to(self, number: int) -> None:
        """Put the cursor on a row, if it is among those that are shown."""
        if number in self._order:
            self._go(self._order.index(number))

    # --- moving ---

    def action_move(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_move_page(self, by: int) -> None:
        self._go(self._cursor + by * max(self.size.height - 2, 1))

    def action_go(self, place: int) -> None:
        self._go(place if place >= 0 else len(self._order) - 1)

    def _go(self, place: int, *, told: bool = False) -> None:
        before, self._cursor = self._cursor, max(0, min(place, len(self._order) - 1))
        n_visible = max(self.size.height - 1, 1)
        top = round(self.scroll_y)
        if self._cursor < top or self._cursor >= top + n_visible:
            top = self._cursor if self._cursor < top else self._cursor - n_visible + 1
            self.scroll_to(y=top, animate=False, force=True, immediate=True)
        self.refresh()
        if told or before != self._cursor:
            self.post_message(self.Moved(self.current))

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self.virtual_size = Size(self.size.width, len(self._order) + 1)
        self._go(self._cursor)

    def on_click(self, event: events.Click) -> None:
        """To a row; a column's head sorts."""
        if event.y > 0:
            self._go(round(self.scroll_y) + event.y - 1)
            return
        x = 1
        for column in self._columns():
            if x <= event.x < x + column.width + _GAP:
                self.post_message(self.SortBy(column.name))
            x += column.width + _GAP

    # --- drawing ---

    def _columns(self) -> list[_Shown]:
        layout, width = self._layout, self.size.width - 2
        widest = max((cell_len(one_line(label)) for label in layout.labels), default=5)
        label = _Shown(layout.label, "labels" if layout.multi else "label", min(max(widest, 5) + 2, _MOST_LABEL))
        first = [label, *([_Shown(layout.probability, "prob", 5, True)] if layout.probability else [])]
        first.append(_Shown(layout.margin, "margin", 7, True))
        room = width - sum(column.width + _GAP for column in first)
        own = {layout.text, *(column.name for column in first)}
        sorted_by = self._sorted[0]
        extra = [sorted_by] if sorted_by and sorted_by not in own else []
        for name in layout.others:
            if name not in extra and room - (len(extra) + 1) * (_OTHER + _GAP) >= _GOOD_TEXT:
                extra.append(name)
        others = [_Shown(name, one_line(name), _OTHER, name in layout.numbers) for name in extra]
        room -= sum(column.width + _GAP for column in others)
        text = _Shown(layout.text, one_line(layout.text), max(room, _LEAST_TEXT))
        return [*first, text, *others]

    def render_line(self, y: int) -> Strip:
        """The head, and below it rows."""
        width, base = self.size.width, self.rich_style
        columns = self._columns()
        if y == 0:
            return self._head(columns).adjust_cell_length(width, self._style("head"))
        place = round(self.scroll_y) + y - 1
        if place >= len(self._order):
            return Strip.blank(width, base)
        number = self._order[place]
        row = self._read(number)
        if place == self._cursor:
            style = self._style("cursor")
            segments = [Segment(" " + self._line(columns, number, row), style)]
            return Strip(segments).adjust_cell_length(width, style)
        segments = [Segment(" ", base)]
        for column in columns:
            segments.append(
                Segment(self._cell(column, number, row) + " " * _GAP, self._cell_style(column, number, row))
            )
        return Strip(segments).adjust_cell_length(width, base)

    def _head(self, columns: list[_Shown]) -> Strip:
        name, descending = self._sorted
        cells = [
            _fitted(f"{column.head}{'▼' if descending else '▲'}" if column.name == name else column.head, column)
            for column in columns
        ]
        return Strip([Segment(" " + (" " * _GAP).join(cells), self._style("head"))])

    def _line(self, columns: list[_Shown], number: int, row: Mapping[str, Any]) -> str:
        return (" " * _GAP).join(self._cell(column, number, row) for column in columns)

    def _cell(self, column: _Shown, number: int, row: Mapping[str, Any]) -> str:
        value = row[column.name]
        if column.name == self._layout.label:
            failed = bool(self._layout.error and row[self._layout.error])
            names = ", ".join(map(one_line, self._layout.labels_of(value)))
            value = ("• " if self._is_corrected(number) else "") + (names or ("error" if failed else "–"))
        elif column.name == self._layout.probability:
            value = "" if value is None else f"{value:.0%}"
        elif column.name in self._layout.numbers:
            value = "" if value is None else f"{value:.3f}"
        return _fitted(one_line("" if value is None else str(value)[: 4 * column.width + 40]), column)

    def _cell_style(self, column: _Shown, number: int, row: Mapping[str, Any]) -> Style:
        if column.name == self._layout.label:
            if self._is_corrected(number):
                return self._style("corrected")
            if self._layout.error and row[self._layout.error]:
                return self._style("error")
            return self._style("label" if self._layout.labels_of(row[column.name]) else "dim")
        return self.rich_style if column.name == self._layout.text else self._style("dim")

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"result--{name}")

    def _read(self, number: int) -> Mapping[str, Any]:
        if number not in self._kept:
            if len(self._kept) > _MOST_KEPT:
                self._kept.clear()
            self._kept[number] = self._row(number)
        return self._kept[number]


def _fitted(text: str, column: _Shown) -> str:
    """Exactly as wide as the column."""
    n_cells = cell_len(text)
    if n_cells > column.width:
        return set_cell_size(set_cell_size(text, column.width - 1).rstrip() + "…", column.width)
    return (" " * (column.width - n_cells) + text) if column.to_right else text + " " * (column.width - n_cells)
