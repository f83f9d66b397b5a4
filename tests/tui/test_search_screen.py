"""Search over all conversations: as one types, once a word, with the match emphasised."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from edgeai import HistoryError
from edgeai.history import History
from edgeai.history_types import SearchHit
from tests.tui.dialogs import opened, screen_text, settled
from tui.screens.search import SearchScreen, lines_of


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.db") as store:
        yield store


def talk(history: History, question: str, answer: str) -> tuple[str, int]:
    conversation = history.create()
    _, answer_id = history.begin_turn(conversation.id, None, question)
    history.finish_turn(answer_id, answer)
    return conversation.id, answer_id


@pytest.mark.parametrize("typed", ["batt", "電池"])
async def test_search_finds_as_one_types_and_enter_waits_for_the_result(typed: str, history: History) -> None:
    wanted = talk(history, "hello", "A battery is 電池 in Japanese.")
    talk(history, "another", "thing")
    async with opened(lambda: SearchScreen(history)) as (app, pilot):
        await pilot.press(*typed, "enter")  # before the search has begun
        await settled(pilot)
        assert [(hit.conversation_id, hit.message_id) for hit in app.results] == [wanted]


async def test_search_moves_by_keys_and_says_when_nothing_is_found(history: History) -> None:
    ids = {talk(history, f"question {n}", "the word kumquat")[1] for n in range(3)}
    async with opened(lambda: SearchScreen(history)) as (app, pilot):
        await pilot.press(*"zzz")
        await settled(pilot)
        assert "Nothing was found." in screen_text(app)
        app.screen.query_one(Input).value = "kumquat"
        await settled(pilot)
        assert "3 found" in screen_text(app)
        await pilot.press("down", "enter")
        await settled(pilot)
        assert app.results[0].message_id in ids


async def test_search_looks_once_for_a_word_that_is_typed_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.search.DEBOUNCE_S", 0.5)  # fast enough on a busy machine too
    asked: list[tuple[str, str]] = []

    class Counting(History):
        def __init__(self) -> None:
            pass

        def search(self, query: str, limit: int = 50) -> list[SearchHit]:
            asked.append((query, threading.current_thread().name))
            if query == "bad":
                raise HistoryError("history.db: disk I/O error: copy the file elsewhere")
            return []

    async with opened(lambda: SearchScreen(Counting())) as (app, pilot):
        await pilot.press(*"word")
        await settled(pilot)
        assert [query for query, _ in asked] == ["word"]
        assert asked[0][1] != threading.main_thread().name
        app.screen.query_one(Input).value = "bad"
        await settled(pilot)
        assert "disk I/O error" in screen_text(app)


def test_a_hit_is_inert_and_its_matches_are_emphasised_where_they_are() -> None:
    snippet = "\x1b[31mred [b]電池[/b] and 電池\x07"
    places = [(index, index + 2) for index in range(len(snippet)) if snippet.startswith("電池", index)]
    content = lines_of(SearchHit("id", 1, "user", "ti\x1b[0mtle\nx", snippet, places))
    assert content.plain == "title x · You\n  red [b]電池[/b] and 電池"
    emphasised = [content.plain[span.start : span.end] for span in content.spans if "underline" in str(span.style)]
    assert emphasised == ["電池", "電池"]
