"""Full-text search over all conversations, as one types."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList

from edgeai import EdgeAIError
from edgeai.history import History
from edgeai.history_types import SearchHit
from edgeai.safe_text import one_line
from tui.days import NO_TITLE
from tui.screens.dialog import CANCEL, ListDialog

DEBOUNCE_S = 0.12
MAX_HITS = 50
SPEAKERS = {"user": "You", "assistant": "Answer", None: "Title"}


class SearchScreen(ListDialog["SearchHit | None"]):
    """Dismisses with what was chosen, or None.

    Args:
        history: the store to search.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Open", priority=True), CANCEL]

    def __init__(self, history: History) -> None:
        super().__init__("Search all conversations", "Words of a title, a question or an answer")
        self._history = history
        self._hits: Sequence[SearchHit] = ()

    def on_mount(self) -> None:
        self._show("", ())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._search(event.value)

    @work(exclusive=True, group="search")
    async def _search(self, query: str) -> None:
        # A next key cancels this worker while it sleeps, so a word that is typed fast is searched for once.
        await asyncio.sleep(DEBOUNCE_S)
        try:
            hits = await asyncio.to_thread(self._history.search, query, MAX_HITS)
        except EdgeAIError as exc:
            self._show(query, ())
            self.say(Content.styled(one_line(str(exc)), "$text-error"))
            return
        self._show(query, hits)

    def _show(self, query: str, hits: Sequence[SearchHit]) -> None:
        self._hits = hits
        self.list_for(query, [lines_of(hit) for hit in hits])
        if len(hits) >= MAX_HITS:
            self.say(f"The best {MAX_HITS} are shown: more words find less.")
        elif hits:
            self.say(f"{len(hits)} found")
        else:
            self.say("Nothing was found." if query.strip() else "")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._hits[event.option_index])


def lines_of(hit: SearchHit) -> Content:
    """Title and speaker, below them the part of the text with the match emphasised."""
    title = one_line(hit.title).strip() or NO_TITLE
    return Content.assemble((title, "bold"), (f" · {SPEAKERS.get(hit.role, '')}\n", "dim"), "  ", *_parts(hit))


def _parts(hit: SearchHit) -> Iterator[tuple[str, str]]:
    """The snippet cut at its matches; made inert part by part, because that shifts places."""
    done = 0
    for start, end in hit.matches:
        if start >= done:
            yield one_line(hit.snippet[done:start]), "dim"
            yield one_line(hit.snippet[start:end]), "bold underline"
            done = end
    yield one_line(hit.snippet[done:]), "dim"
