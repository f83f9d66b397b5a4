"""One of several names, found by typing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList

from edgeai.safe_text import one_line
from edgeai.text_search import fold
from tui.screens.dialog import CANCEL, ListDialog


class ChooseScreen(ListDialog["int | None"]):
    """Dismisses with the number of the name that was chosen, from 0, or None.

    Args:
        title: what is chosen.
        names: to choose from; hostile.
        notes: behind each name; may be fewer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Choose", priority=True), CANCEL]

    def __init__(self, title: str, names: Sequence[str], notes: Sequence[str] = ()) -> None:
        super().__init__(title, "A part of the name")
        self._names, self._notes = names, notes
        self._found: list[int] = []

    def on_mount(self) -> None:
        self._show("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show(event.value)

    def _show(self, typed: str) -> None:
        wanted = fold(typed.strip())
        self._found = [number for number, name in enumerate(self._names) if wanted in fold(name)]
        self.list_for(typed, [self._line(number) for number in self._found])
        self.say("" if self._found else "Nothing is named so.")

    def _line(self, number: int) -> Content:
        note = self._notes[number] if number < len(self._notes) else ""
        return Content.assemble(one_line(self._names[number]) or "–", (f"  {note}" if note else "", "dim"))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._found[event.option_index])
