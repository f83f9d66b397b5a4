"""The settings of one conversation: its system prompt and how tokens are chosen."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static, TextArea

from edgeai import OptionError, SamplingOptions
from edgeai.safe_text import plain
from tui.screens.confirm import ConfirmScreen
from tui.screens.dialog import CANCEL, Dialog
from tui.settings import ConversationSettings


class Field(NamedTuple):
    """One number that can be set.

    Attributes:
        name: as `ConversationSettings` has it.
        number: makes the value out of text, or raises ValueError.
        meaning: shown beside it.
        unset: shown in it where the default is no number.
    """

    name: str
    number: Callable[[str], float]
    meaning: str
    unset: str = ""


FIELDS = (
    Field("temperature", float, "0–100 · 0 always takes the likeliest"),
    Field("top_p", float, "0–1 · share of tokens to choose from"),
    Field("top_k", int, "0 or more · tokens to choose from"),
    Field("min_p", float, "0–1 · drops what is far less likely"),
    Field("repeat_penalty", float, "0.01–100 · over 1 repeats less"),
    Field("max_tokens", int, "1 or more · length of an answer", "no limit"),
    Field("seed", int, f"0–{2**32 - 2} · same seed, same text", "new each time"),
)


class NumberInput(Input):
    """An input that the arrow keys leave for its neighbours."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]


class SettingsScreen(Dialog["ConversationSettings | None"]):
    """Dismisses with the new settings, or None when they were left as they are.

    Args:
        settings: what is set now.
        title: the conversation's; shown inertly.
        defaults: what a value is when nothing is set; shown as the placeholder.
    """

    DEFAULT_CSS = """
    SettingsScreen {
        & #dialog-box { height: 100%; max-height: 34; width: 84; }
        & #system { height: 1fr; min-height: 3; margin-bottom: 1; padding: 0 1; background: $panel; }
        & #fields, & .field { height: auto; }
        & .field > Label { width: 16; }
        & .field > Input { width: 16; }
        & .note { width: 1fr; margin-left: 2; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save"),
        Binding("ctrl+r", "reset", "Reset to defaults"),
        CANCEL,
    ]

    def __init__(
        self, settings: ConversationSettings, *, title: str = "", defaults: SamplingOptions | None = None
    ) -> None:
        super().__init__(f"Settings · {title}" if title else "Settings")
        self._settings = settings
        self._defaults = defaults or SamplingOptions()

    def compose_body(self) -> ComposeResult:
        yield Label("System prompt", classes="muted")
        yield TextArea(
            plain(self._settings.system or ""),
            compact=True,
            id="system",
            placeholder="How the model should answer, for example: You answer in one short sentence.",
        )
        with Vertical(id="fields"):
            for field in FIELDS:
                with Horizontal(classes="field"):
                    yield Label(field.name)
                    yield self._input(field)
                    yield Static(field.meaning, id=f"{field.name}-note", classes="note muted", markup=False)

    def _input(self, field: Field) -> Input:
        value, default = getattr(self._settings, field.name), getattr(self._defaults, field.name)
        return NumberInput(
            "" if value is None else str(value),
            placeholder=field.unset if default is None else str(default),
            compact=True,
            id=field.name,
        )

    def on_mount(self) -> None:
        self._before = self._typed()

    def _typed(self) -> dict[str, str]:
        typed = {field.name: self.query_one(f"#{field.name}", Input).value.strip() for field in FIELDS}
        return {"system": self.query_one("#system", TextArea).text.strip(), **typed}

    @on(Input.Changed)
    def _check(self, event: Input.Changed) -> None:
        event.stop()
        field = next(item for item in FIELDS if item.name == event.input.id)
        note = self.query_one(f"#{field.name}-note", Static)
        wrong = ""
        try:
            read_number(field, event.value)
        except OptionError as error:
            # The library's message names the value, which stands right beside it here.
            wrong = str(error).rpartition(": ")[2]
        note.update(wrong or field.meaning)
        note.set_class(bool(wrong), "error")
        event.input.set_class(bool(wrong), "-invalid")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_save()

    def action_save(self) -> None:
        typed = self._typed()
        values: dict[str, Any] = {}
        for field in FIELDS:
            try:
                values[field.name] = read_number(field, typed[field.name])
            except OptionError:
                self.query_one(f"#{field.name}").focus()
                self.app.bell()
                return
        settings = replace(self._settings, system=typed["system"] or None, **values)
        self.dismiss(settings if settings != self._settings else None)

    def action_reset(self) -> None:
        """Clear everything; in the system prompt the text area's undo brings it back."""
        self.query_one("#system", TextArea).clear()
        for field in FIELDS:
            self.query_one(f"#{field.name}", Input).value = ""

    def action_cancel(self) -> None:
        if self._typed() == self._before:
            self.dismiss(None)
        else:
            self.app.push_screen(
                ConfirmScreen("Leave the settings without saving your changes?", "Discard"), self._leave
            )

    def _leave(self, discard: bool | None) -> None:
        if discard:
            self.dismiss(None)


def read_number(field: Field, text: str) -> float | None:
    """The value that a person typed, None for an empty field; full-width digits count too.

    Raises:
        OptionError: no number, or one out of its range.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if not text:
        return None
    value: float | str
    try:
        value = field.number(text)
    except ValueError:
        value = text
    # Made only for its check: the library knows the ranges.
    ConversationSettings(**{field.name: value})  # type: ignore[arg-type]
    return value if not isinstance(value, str) else None
