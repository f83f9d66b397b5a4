"""What every dialog has: a box in the middle, a title, its keys on the last line, Esc to leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static

from edgeai.safe_text import one_line

Result = TypeVar("Result")

CANCEL = Binding("escape", "cancel", "Cancel")
"""Named last by every dialog: the hint line keeps the order of its bindings, and a base class would come first."""


class Dialog(ModalScreen[Result]):
    """A box over the screen below. Subclasses fill `compose_body` and leave through `dismiss`."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: $background 60%;
        & #dialog-box {
            width: 76;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 0 1;
            border: round $primary;
            border-title-color: $text-accent;
            border-title-style: bold;
            background: $surface;
        }
        & Footer { dock: none; margin-top: 1; background: $surface; }
        & FooterKey { background: $surface; }
        & FooterKey .footer-key--key { background: $surface; padding: 0 1 0 0; }
        & FooterKey .footer-key--description { background: $surface; padding: 0 2 0 0; }
        & Input { background: $panel; }
        & .muted { color: $text-muted; }
        & .error { color: $text-error; }
    }
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._box_title = title

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog-box") as box:
            # A plain string would be read as markup.
            box.border_title = Content(one_line(self._box_title))
            yield from self.compose_body()
            yield Footer(show_command_palette=False)

    def compose_body(self) -> ComposeResult:
        """The widgets between the title and the keys."""
        yield from ()

    def action_cancel(self) -> None:
        self.dismiss(None)


class ListDialog(Dialog[Result]):
    """A filter to type into, a list below that the arrow keys move in meanwhile, and a line of notes.

    Subclasses bind Enter to `choose` under their own word for it, fill the list by `list_for` and handle
    `OptionList.OptionSelected`.
    """

    DEFAULT_CSS = """
    ListDialog {
        & #dialog-box { width: 100; height: 90%; max-height: 40; }
        & #filter { margin-bottom: 1; }
        & #choices {
            height: 1fr;
            border: none;
            padding: 0;
            background: $surface;
            scrollbar-size-vertical: 1;
            text-wrap: nowrap;
            text-overflow: ellipsis;
            & > .option-list--option-highlighted {
                background: $block-cursor-background;
                color: $block-cursor-foreground;
                text-style: $block-cursor-text-style;
            }
        }
        & #note { height: auto; max-height: 4; margin-top: 1; color: $text-muted; }
    }
    """
    # They take precedence over the filter's own scrolling.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move('cursor_up')", "Up", show=False, priority=True),
        Binding("down", "move('cursor_down')", "Down", show=False, priority=True),
        Binding("pageup", "move('page_up')", "Page up", show=False, priority=True),
        Binding("pagedown", "move('page_down')", "Page down", show=False, priority=True),
    ]

    def __init__(self, title: str, placeholder: str) -> None:
        super().__init__(title)
        self._placeholder = placeholder
        self._listed: str | None = None
        self._chosen_early = False

    def compose_body(self) -> ComposeResult:
        yield Input(placeholder=self._placeholder, compact=True, id="filter")
        yield from self.compose_heading()
        choices = OptionList(id="choices", markup=False)
        # The filter keeps the focus, so that typing always narrows the list.
        choices.can_focus = False
        yield choices
        yield Static(id="note", markup=False)

    def compose_heading(self) -> ComposeResult:
        """What stands above the list."""
        yield from ()

    @property
    def filter_text(self) -> str:
        """What is typed into the filter."""
        return self.query_one("#filter", Input).value

    @property
    def choices(self) -> OptionList:
        """The list."""
        return self.query_one("#choices", OptionList)

    def list_for(self, typed: str, lines: Sequence[Content], highlighted: int = 0) -> None:
        """Fill the list with what belongs to the text `typed`."""
        self._listed = typed
        self.choices.set_options(lines)
        if lines:
            self.choices.highlighted = highlighted
        if self._chosen_early and typed == self.filter_text:
            self._chosen_early = False
            self.choices.action_select()

    def say(self, note: str | Content) -> None:
        """Write below the list."""
        self.query_one("#note", Static).update(note if isinstance(note, Content) else Content(note))

    async def action_move(self, how: str) -> None:
        """Move in the list by the list's own action `how`."""
        await self.choices.run_action(how)

    def action_choose(self) -> None:
        """Select what is highlighted; when the list is still behind what was typed, as soon as it is not."""
        self._chosen_early = self._listed != self.filter_text
        if not self._chosen_early:
            self.choices.action_select()
