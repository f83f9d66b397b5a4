"""Where a conversation is exported to, and as what."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Label, RadioButton, RadioSet, Static

from edgeai.safe_text import one_line
from tui.screens.confirm import ConfirmScreen
from tui.screens.dialog import CANCEL, Dialog

ExportFormat = Literal["markdown", "json"]
SUFFIXES: dict[ExportFormat, str] = {"markdown": ".md", "json": ".json"}


class ExportChoice(NamedTuple):
    """A path that may be written to: its folder is there, and an existing file may be replaced."""

    path: Path
    format: ExportFormat


class ExportScreen(Dialog["ExportChoice | None"]):
    """Dismisses with the choice, or None.

    Args:
        default_path: the file that is offered; its suffix says the format.
    """

    DEFAULT_CSS = """
    ExportScreen {
        & RadioSet { layout: horizontal; height: 1; margin-bottom: 1; background: $surface; }
        & RadioButton { width: auto; margin-right: 4; background: $surface; }
        & #problem { min-height: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "save", "Export", priority=True),
        Binding("f2", "change_format", "Markdown or JSON"),
        CANCEL,
    ]

    def __init__(self, default_path: Path) -> None:
        super().__init__("Export the conversation")
        self._default_path = default_path
        self._refused: str | None = None

    def compose_body(self) -> ComposeResult:
        is_json = self._default_path.suffix == SUFFIXES["json"]
        with RadioSet(compact=True):
            yield RadioButton("Markdown, to read", id="markdown", value=not is_json, compact=True)
            yield RadioButton("JSON, with all branches", id="json", value=is_json, compact=True)
        yield Label("File", classes="muted")
        yield Input(one_line(str(self._default_path)), compact=True, select_on_focus=False)
        yield Static(id="problem", classes="error", markup=False)

    def on_mount(self) -> None:
        # The mouse and F2 reach the formats; one thing to type into needs no Tab.
        self.query_one(RadioSet).can_focus = False
        self.query_one(Input).focus()

    @property
    def _format(self) -> ExportFormat:
        return "json" if self.query_one("#json", RadioButton).value else "markdown"

    @on(RadioSet.Changed)
    def _format_changed(self, event: RadioSet.Changed) -> None:
        event.stop()
        field = self.query_one(Input)
        stem = field.value
        for suffix in SUFFIXES.values():
            stem = stem.removesuffix(suffix)
        field.value = stem + SUFFIXES[self._format]
        field.action_end()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        # Enter right behind a key is faster than the news of that key.
        if event.value != self._refused:
            self.query_one("#problem", Static).update("")

    def action_change_format(self) -> None:
        self.query_one("#markdown" if self._format == "json" else "#json", RadioButton).value = True

    def action_save(self) -> None:
        typed = self.query_one(Input).value
        path = Path(typed.strip())
        try:
            path = path.expanduser()
            problem, exists = problem_with(path), path.exists()
        except (OSError, ValueError, RuntimeError) as exc:  # a null character, a name too long, no such ~user
            problem, exists = f"this path cannot be used: {exc}", False
        if problem:
            self._refused = typed
            self.query_one("#problem", Static).update(one_line(problem))
        elif exists:
            question = f"{path} exists already. Replace it?"
            self.app.push_screen(ConfirmScreen(question, "Replace"), lambda yes: self._leave(path) if yes else None)
        else:
            self._leave(path)

    def _leave(self, path: Path) -> None:
        self.dismiss(ExportChoice(path, self._format))


def problem_with(path: Path) -> str:
    """Why nothing can be written to the path; empty if it can be, as far as one can tell before trying."""
    if not path.name or path.is_dir():
        return "this is a folder: add the name of a file"
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist: make it first, or choose another"
    if path.exists() and not path.is_file():
        return "this is no ordinary file: choose another name"
    return ""
