"""The list of conversations: order, groups, keys, filter, hostile titles."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from edgeai import HistoryError
from edgeai.history import History
from edgeai.history_types import Conversation
from tests.tui.dialogs import ESCAPE_CODES, quick_pilot, screen_lines, settled
from tui.days import day_of
from tui.widgets.sidebar import ConversationList, FilterInput, Sidebar

NOW = datetime.now(timezone.utc)


class SidebarApp(App[None]):
    """Only the list; keeps its messages."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self.animation_level = "none"
        self.history = history
        self.said: list[Message] = []

    def compose(self) -> ComposeResult:
        yield Sidebar(self.history)

    def on_sidebar_opened(self, event: Sidebar.Opened) -> None:
        self.said.append(event)

    def on_sidebar_new_requested(self, event: Sidebar.NewRequested) -> None:
        self.said.append(event)

    def on_sidebar_rename_requested(self, event: Sidebar.RenameRequested) -> None:
        self.said.append(event)

    def on_sidebar_delete_requested(self, event: Sidebar.DeleteRequested) -> None:
        self.said.append(event)

    @property
    def listed(self) -> list[str]:
        return [str(option.prompt).strip() for option in self.query_one(ConversationList).options]


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.db") as store:
        yield store


class Conversations(History):
    """Conversations that no store could have made today: of other days, or hostile."""

    def __init__(self, *titles: str, hours: float = 0) -> None:
        self.rows = [
            Conversation(f"id{i}", title, "m", "{}", "", (NOW - timedelta(hours=hours * i)).isoformat(), None, 2)
            for i, title in enumerate(titles)
        ]

    def conversations(self, limit: int | None = None) -> list[Conversation]:
        return self.rows[:limit]


@asynccontextmanager
async def running(history: History, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[SidebarApp, Pilot[None]]]:
    app = SidebarApp(history)
    with quick_pilot():
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            app.query_one(Sidebar).focus_list()
            await pilot.pause()
            yield app, pilot


async def test_the_last_changed_conversation_comes_first_below_new_chat(history: History) -> None:
    first = history.create(title="first")
    history.create(title="second")
    history.finish_turn(history.begin_turn(first.id, None, "again")[1], "yes")
    async with running(history) as (app, _):
        assert app.listed == ["+ New chat", "Today", "first", "second"]


async def test_an_empty_store_says_so_and_offers_a_new_chat(history: History) -> None:
    async with running(history) as (app, pilot):
        assert app.listed == ["+ New chat", "No conversations yet"]
        await pilot.press("enter")
        assert app.said == [Sidebar.NewRequested()]


async def test_keys_ask_for_what_they_say(history: History) -> None:
    older, newer = history.create(title="older"), history.create(title="newer")
    async with running(history) as (app, pilot):
        await pilot.press("down", "enter", "down", "enter", "r", "d", "delete", "n")
        assert app.said == [
            Sidebar.Opened(newer.id),
            Sidebar.Opened(older.id),
            Sidebar.RenameRequested(older.id, "older"),
            Sidebar.DeleteRequested(older.id),
            Sidebar.DeleteRequested(older.id),
            Sidebar.NewRequested(),
        ]


async def test_rename_and_delete_mean_nothing_on_new_chat(history: History) -> None:
    history.create(title="one")
    async with running(history) as (app, pilot):
        await pilot.press("r", "d", "delete")
        assert app.said == []


async def test_a_click_opens(history: History) -> None:
    one = history.create(title="one")
    async with running(history) as (app, pilot):
        line = next(y for y, text in enumerate(screen_lines(app)) if "one" in text)
        await pilot.click(offset=(5, line))
        await pilot.pause()
        assert app.said == [Sidebar.Opened(one.id)]


async def test_the_filter_narrows_ignoring_case_and_width_and_escape_takes_it_off(history: History) -> None:
    for title in ("Paper clips", "紙のクリップ", "Cafe PAPER"):
        history.create(title=title)
    async with running(history) as (app, pilot):
        await pilot.press("slash", *"ｐａｐｅｒ")
        assert app.listed == ["+ New chat", "Today", "Cafe PAPER", "Paper clips"]
        app.query_one(FilterInput).value = "クリ"
        await pilot.pause()
        assert app.listed[2:] == ["紙のクリップ"]
        app.query_one(FilterInput).value = "nowhere"
        await pilot.pause()
        assert app.listed == ["+ New chat", "Nothing matches"]
        await pilot.press("escape")
        await pilot.pause()
        assert len(app.listed) == 5
        assert isinstance(app.focused, ConversationList)


async def test_enter_in_the_filter_opens_the_first_match(history: History) -> None:
    wanted = history.create(title="wanted")
    history.create(title="other")
    async with running(history) as (app, pilot):
        await pilot.press("slash", *"want", "enter")
        await settled(pilot)
        assert app.said == [Sidebar.Opened(wanted.id)]


async def test_the_current_one_is_marked_and_the_cursor_shows_it(history: History) -> None:
    one, other = history.create(title="one"), history.create(title="other")
    async with running(history) as (app, pilot):
        app.set_focus(None)
        app.query_one(Sidebar).current = one.id
        await pilot.pause()
        assert "▌ one" in app.listed
        assert "▌ other" not in app.listed
        entry = app.query_one(ConversationList).highlighted_entry
        assert entry is not None
        assert entry.id == one.id != other.id


async def test_reading_again_keeps_the_cursor_and_survives_a_deletion_under_it(history: History) -> None:
    ids = [history.create(title=f"number {n}").id for n in range(5)]
    async with running(history) as (app, pilot):
        await pilot.press("down", "down", "down")
        under_cursor = app.query_one(ConversationList).highlighted_entry
        assert under_cursor is not None
        assert under_cursor.id == ids[2]
        history.create(title="new on top")
        app.query_one(Sidebar).refresh_list()
        await settled(pilot)
        assert app.query_one(ConversationList).highlighted_entry == under_cursor
        history.delete(ids[2])
        app.query_one(Sidebar).refresh_list()
        await settled(pilot)
        neighbour = app.query_one(ConversationList).highlighted_entry
        assert neighbour is not None
        assert neighbour.id in (ids[1], ids[3])


async def test_titles_are_inert_and_cut_at_the_width() -> None:
    hostile = [
        "[bold red]markup[/]",
        "esc \x1b]0;owned\x07 \x1b[31mred",
        "line\nbreak \u202egpj",
        "とても長い" * 20,
        "",
    ]
    async with running(Conversations(*hostile)) as (app, _):
        lines = [line.rstrip() for line in screen_lines(app)]
        text = "\n".join(lines)
        assert "[bold red]markup[/]" in text
        assert "line break gpj" in text
        assert "(no title)" in text
        assert not [code for code in ESCAPE_CODES if code in text]
        long = next(line for line in lines if "とても長い" in line)
        assert "…" in long
        assert cell_len(long) <= 34


async def test_a_store_that_cannot_be_read_is_named_in_the_list(history: History) -> None:
    class Broken(Conversations):
        def conversations(self, limit: int | None = None) -> list[Conversation]:
            raise HistoryError("history.db: disk I/O error: copy the file elsewhere")

    async with running(Broken()) as (app, _):
        assert app.listed == ["+ New chat", "history.db: disk I/O error: copy the file elsewhere"]


async def test_two_thousand_conversations_are_listed_and_the_cursor_reaches_the_last() -> None:
    async with running(Conversations(*(f"conversation {n}" for n in range(2000)), hours=3)) as (app, pilot):
        await pilot.press("end")
        entry = app.query_one(ConversationList).highlighted_entry
        assert entry is not None
        assert entry.title == "conversation 1999"
        assert any("conversation 1999" in line for line in screen_lines(app))


@contextmanager
def local_time(monkeypatch: pytest.MonkeyPatch, zone: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("updated", "group"),
    [
        ("2026-11-24T12:00:00.000+00:00", "Today"),
        ("2026-11-30T12:00:00+00:00", "Today"),
        ("2026-11-23T12:00:00+00:00", "Yesterday"),
        ("2026-11-22T12:00:00Z", "Sunday"),
        ("2026-11-18T12:00:00", "Wednesday"),
        ("2026-11-17T12:00:00+00:00", "November 2026"),
        ("2025-01-05T12:00:00+00:00", "January 2025"),
        ("nonsense", "Some time"),
        ("", "Some time"),
        ("9999-12-31T23:59:59-12:00", "Some time"),
    ],
)
def test_days(updated: str, group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_time(monkeypatch, "UTC"):
        assert day_of(updated, date(2026, 11, 24)) == group


def test_the_day_is_the_one_of_the_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_time(monkeypatch, "JST-9"):
        assert day_of("2026-11-23T16:00:00+00:00", date(2026, 11, 24)) == "Today"
