"""Where corrected rows are written as examples."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Label, Static

from edgeai.safe_text import one_line
from tui.screens.confirm import ConfirmScreen
from tui.screens.dialog import CANCEL, Dialog
from tui.screens.export import problem_with


class SaveExamples(Dialog["Path | None"]):
    """Dismisses with a path that may be written to, or None.

    Args:
        default_path: the file that is offered.
        n_examples: how many there are.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "save", "Write", priority=True), CANCEL]
    DEFAULT_CSS = """
    SaveExamples {
        & #problem { height: auto; min-height: 1; }
    }
    """

    def __init__(self, default_path: Path, n_examples: int) -> None:
        super().__init__(f"Write {n_examples:,} corrected row{'' if n_examples == 1 else 's'} as examples")
        self._default_path = default_path

    def compose_body(self) -> ComposeResult:
        yield Label("For the next run: edgeai classify --examples FILE …", classes="muted")
        yield Input(one_line(str(self._default_path)), compact=True, select_on_focus=False)
        yield Static(id="problem", classes="error", markup=False)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one("#problem", Static).update("")

    def action_save(self) -> None:
        try:
            path = Path(self.query_one(Input).value.strip()).expanduser()
            problem, exists = problem_with(path), path.exists()
        except (OSError, ValueError, RuntimeError) as exc:  # a null character, a name too long, no such ~user
            problem, exists = f"this path cannot be used: {exc}", False
        if problem:
            self.query_one("#problem", Static).update(one_line(problem))
        elif exists:
            question = f"{path} exists already. Replace it?"
            self.app.push_screen(ConfirmScreen(question, "Replace"), lambda yes: self._leave(path) if yes else None)
        else:
            self._leave(path)

    def _leave(self, path: Path) -> None:
        self.dismiss(path)
