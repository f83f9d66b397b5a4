"""Choosing a file below the current folder by a few letters of its path."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.worker import get_current_worker

from tui import find_files
from tui.find_files import FoundFile, Match
from tui.screens.dialog import CANCEL, ListDialog
from tui.units import bytes_text

N_SHOWN = 100
UPDATE_S = 0.15


class FilePicker(ListDialog["Path | None"]):
    """Dismisses with the path of the file, or None.

    Args:
        root: the folder to look in.
        title: what the file is for.
        wanted: whether a file is listed, by its path.
        hint: a few words for where it is not found.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Choose", priority=True), CANCEL]

    @dataclass
    class Walked(Message):
        """More files were found.

        Attributes:
            files: all of them so far.
            done: nothing more will come.
        """

        files: Sequence[FoundFile]
        done: bool

    @dataclass
    class Ranked(Message):
        """The files to show for a query, each with its line."""

        query: str
        matches: Sequence[Match]
        lines: Sequence[Content]

    def __init__(
        self,
        root: Path,
        title: str = "Choose a file",
        wanted: Callable[[Path], bool] = lambda _path: True,
        hint: str = "",
    ) -> None:
        super().__init__(title, "Type a few letters of its name or folder")
        self._root = root
        self._wanted = wanted
        self._hint = hint
        self._files: Sequence[FoundFile] = ()
        self._matches: Sequence[Match] = ()
        self._query = ""
        self._walking = True

    def on_mount(self) -> None:
        self.say("Looking …")
        self._walk()

    @work(thread=True, group="walk")
    def _walk(self) -> None:
        worker = get_current_worker()
        files: list[FoundFile] = []
        next_update = time.monotonic() + UPDATE_S
        for file in find_files.walk(self._root, lambda: worker.is_cancelled):
            if self._wanted(file.path):
                files.append(file)
            if time.monotonic() > next_update:
                next_update = time.monotonic() + UPDATE_S
                self.post_message(self.Walked(tuple(files), done=False))
        self.post_message(self.Walked(files, done=True))

    @work(thread=True, group="rank", exclusive=True)
    def _rank(self, query: str, files: Sequence[FoundFile]) -> None:
        worker = get_current_worker()
        matches = find_files.rank(query, files, N_SHOWN, lambda: worker.is_cancelled)
        lines = [line_of(match) for match in matches]
        if not worker.is_cancelled:
            self.post_message(self.Ranked(query, matches, lines))

    @on(Walked)
    def _walked(self, event: Walked) -> None:
        self._files, self._walking = event.files, not event.done
        self._rank(self.filter_text, self._files)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._rank(event.value, self._files)

    @on(Ranked)
    def _ranked(self, event: Ranked) -> None:
        # While the folder is still being read, the list grows under the cursor: it stays on its file.
        at = self.choices.highlighted
        current = self._matches[at].file if at and event.query == self._query else None
        self._query, self._matches = event.query, event.matches
        files = [match.file for match in event.matches]
        self.list_for(event.query, event.lines, files.index(current) if current in files else 0)
        self.say(self._note())

    def _note(self) -> str:
        n_files = len(self._files)
        if self._walking:
            return f"Looking … {n_files:,} files"
        if n_files >= find_files.MAX_FILES:
            return f"Only the first {n_files:,} files are listed: start the chat in a smaller folder to see the others."
        if not self._matches:
            nothing = "No file matches." if n_files else "There is no file below this folder."
            return f"{nothing} {self._hint}".rstrip()
        return f"{n_files:,} files"

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._matches[event.option_index].file.path)


def line_of(match: Match) -> Content:
    """Size, name and folder on one line, the matched letters emphasised."""
    try:
        size = bytes_text(match.file.path.stat().st_size)
    except OSError:
        size = ""
    path = Content(match.file.shown)
    for offset in match.offsets:
        path = path.stylize("bold underline", offset, offset + 1)
    cut = match.file.shown.rfind("/") + 1
    return Content.assemble((f"{size:>8}  ", "dim"), path[cut:], "  ", path[:cut].stylize_before("dim"))
