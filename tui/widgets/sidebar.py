"""The list of conversations: by day, filtered as one types, opened, renamed and deleted by keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from edgeai import EdgeAIError
from edgeai.history import History
from edgeai.safe_text import one_line
from edgeai.text_search import fold
from tui.days import NO_TITLE, Entry, entries_of


class Sidebar(Vertical):
    """The conversations of a store. The parent listens to its messages and does what they ask for."""

    DEFAULT_CSS = """
    Sidebar {
        width: 34;
        max-width: 50%;
        height: 100%;
        padding: 1 1 0 1;
        background: $surface;
        border-right: vkey $panel;
        & Input { background: $panel; margin-bottom: 1; }
        & OptionList {
            height: 1fr;
            border: none;
            padding: 0;
            background: $surface;
            scrollbar-size-vertical: 1;
            text-wrap: nowrap;
            text-overflow: ellipsis;
            &:focus { border: none; background-tint: $foreground 0%; }
            & > .option-list--option-disabled { color: $text-muted; }
        }
    }
    """

    current: reactive[str | None] = reactive(None)
    """The id of the conversation on the screen; it is marked."""

    @dataclass
    class Opened(Message):
        """A conversation is to be shown."""

        conversation_id: str

    @dataclass
    class NewRequested(Message):
        """A new conversation is to be begun."""

    @dataclass
    class RenameRequested(Message):
        """A conversation is to get another title."""

        conversation_id: str
        title: str

    @dataclass
    class DeleteRequested(Message):
        """A conversation is to be deleted; nothing has been asked yet."""

        conversation_id: str

    @dataclass
    class Loaded(Message):
        """The store was read.

        Attributes:
            error: why it could not be; empty otherwise.
        """

        entries: Sequence[Entry]
        error: str = ""

    def __init__(self, history: History, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._history = history
        self._entries: Sequence[Entry] | None = None
        self._error = ""

    def compose(self) -> ComposeResult:
        yield FilterInput(placeholder="Filter", compact=True)
        yield ConversationList(markup=False)

    def on_mount(self) -> None:
        self.refresh_list()

    def focus_list(self) -> None:
        """Give the keys to the list."""
        self._list.focus()

    @work(thread=True, exclusive=True, group="conversations")
    def refresh_list(self) -> None:
        """Read the store again, in a thread."""
        try:
            conversations = self._history.conversations()
        except EdgeAIError as exc:
            self.post_message(self.Loaded((), one_line(str(exc))))
            return
        self.post_message(self.Loaded(entries_of(conversations, date.today())))

    @property
    def _list(self) -> ConversationList:
        return self.query_one(ConversationList)

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        event.stop()
        if (event.entries, event.error) != (self._entries, self._error):
            self._entries, self._error = event.entries, event.error
            self._show()

    @on(Input.Changed)
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._show()

    def watch_current(self) -> None:
        """Move the mark."""
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        entries = self._entries or ()
        wanted = fold(self.query_one(FilterInput).value).split()
        shown = [entry for entry in entries if all(word in fold(entry.title) for word in wanted)]
        note = self._error
        if not note and self._entries is not None and not shown:
            note = "Nothing matches" if entries else "No conversations yet"
        self._list.show(shown, self.current, note)

    @on(Input.Submitted)
    def _filter_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if entry := self._list.first_entry:
            self.post_message(self.Opened(entry.id))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()


class FilterInput(Input):
    """Leaves for the list with Esc and the arrow down; Esc takes the filter off."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "leave", show=False),
        Binding("enter", "submit", "Open the first"),
        Binding("escape", "clear", "All conversations"),
    ]

    def action_leave(self) -> None:
        """Go to the list."""
        self.screen.query_one(ConversationList).focus()

    def action_clear(self) -> None:
        """Show all again."""
        self.value = ""
        self.action_leave()


class ConversationList(OptionList):
    """The entries under the names of their days, below "New chat"."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Open"),
        Binding("n", "new", "New"),
        Binding("r", "rename", "Rename"),
        Binding("d,delete", "delete", "Delete"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
    ]

    def __init__(self, *, markup: bool) -> None:
        super().__init__(markup=markup)
        self._entries: list[Entry | None] = [None]  # as the options; None is no conversation

    def show(self, entries: Sequence[Entry], current: str | None, note: str = "") -> None:
        """Fill the list; the cursor stays on its conversation.

        Args:
            entries: in their order.
            current: the id of the one to mark.
            note: a line in place of the entries.
        """
        under_cursor, index, scroll_y = self.highlighted_entry, self.highlighted or 0, self.scroll_y
        self._entries = [None]
        options = [Option(Content.styled("+ New chat", "bold"))]
        day = ""
        for entry in entries:
            if entry.day != day:
                day = entry.day
                options.append(_heading(day))
                self._entries.append(None)
            options.append(Option(_line(entry, marked=entry.id == current)))
            self._entries.append(entry)
        if note:
            options.append(_heading(note))
            self._entries.append(None)
        self.set_options(options)
        # Someone who moves in the list keeps the cursor; otherwise it shows where one is.
        wanted = under_cursor.id if under_cursor and self.has_focus else current
        self.scroll_to(y=scroll_y, animate=False)
        self.highlighted = self._index_of(wanted, index if self.has_focus else 0)

    def _index_of(self, conversation_id: str | None, index: int) -> int:
        """Where the conversation is; the entry nearest to the index, where it has gone."""
        entries = [(at, entry.id) for at, entry in enumerate(self._entries) if entry]
        for at, entry_id in entries:
            if entry_id == conversation_id:
                return at
        return min((at for at, _ in entries), key=lambda at: abs(at - index), default=0) if index else 0

    @property
    def highlighted_entry(self) -> Entry | None:
        """The conversation under the cursor."""
        if self.highlighted is None or self.highlighted >= len(self._entries):
            return None
        return self._entries[self.highlighted]

    @property
    def first_entry(self) -> Entry | None:
        """The first conversation, where there is one."""
        return next((entry for entry in self._entries if entry), None)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        event.stop()
        entry = self._entries[event.option_index]
        self.post_message(Sidebar.Opened(entry.id) if entry else Sidebar.NewRequested())

    def action_new(self) -> None:
        """Ask for a new conversation."""
        self.post_message(Sidebar.NewRequested())

    def action_rename(self) -> None:
        """Ask for another title."""
        if entry := self.highlighted_entry:
            self.post_message(Sidebar.RenameRequested(entry.id, entry.title if entry.title != NO_TITLE else ""))

    def action_delete(self) -> None:
        """Ask for a conversation to be deleted."""
        if entry := self.highlighted_entry:
            self.post_message(Sidebar.DeleteRequested(entry.id))

    def action_filter(self) -> None:
        """Go to the filter."""
        self.screen.query_one(FilterInput).focus()


def _heading(text: str) -> Option:
    return Option(Content(text), disabled=True)


def _line(entry: Entry, *, marked: bool) -> Content:
    if marked:
        return Content.styled(f"▌ {entry.title}", "bold")
    return Content(f"  {entry.title}")
