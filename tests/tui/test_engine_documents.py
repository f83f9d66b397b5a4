"""The engine's part with documents: counted, prepared, and given a window that holds them."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message as Event

from edgeai import Message, ModelTooLargeError
from edgeai.documents.library import Library
from edgeai.documents.types import Block, Document
from edgeai.session import Session
from tests.tui.documented import PreparedBackend
from tui.chat_documents import ChatDocument, ready_words, told
from tui.engine import Engine
from tui.engine_events import DocumentsCounted, ModelFailed, ModelReady, TurnEnded, WindowChanged
from tui.turn import Question, preparation

PUMP = "The pump stops by itself when the tank is empty."


class Models:
    """Opens models with the window that is asked for, up to what fits.

    Attributes:
        fits: the largest window.
        fixed: what a user gave; it counts.
    """

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.fits = 1 << 20
        self.fixed = 0
        self.backend = PreparedBackend()

    def __call__(
        self, model: str | None, *, on_load_progress: Callable[[float], None], n_ctx: int = 4096, **_options: Any
    ) -> Session:
        n_ctx = self.fixed or n_ctx
        self.opened.append(n_ctx)
        if n_ctx > self.fits:
            raise ModelTooLargeError(f"n_ctx = {n_ctx:,} does not fit")
        self.backend = PreparedBackend(n_ctx, n_ctx_train=32_768)
        return Session(backend=self.backend)


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def events() -> queue.Queue[Event]:
    return queue.Queue()


@pytest.fixture
def engine(models: Models, events: queue.Queue[Event]) -> Iterator[Engine]:
    engine = Engine(models, events.put)
    engine.start()
    engine.load("some")
    yield engine
    engine.close()


def document(n_tokens: int, sha: str = "a") -> Document:
    """A document of so many tokens for a fake model, to which each character is one."""
    return Document(Path(f"{sha}.md"), "markdown", sha, sha * 64, (Block("x" * n_tokens),))


def question(*documents: Document) -> Question:
    return Question(
        [Message("user", "How?")], lambda _model: None, lambda _text: None, lambda _result: None, documents=documents
    )


def until(events: queue.Queue[Event], kind: type[Event]) -> list[Event]:
    """The events up to the first of a kind."""
    seen: list[Event] = []
    while not seen or not isinstance(seen[-1], kind):
        seen.append(events.get(timeout=60))
    return seen


def result_of(events: queue.Queue[Event]) -> TurnEnded:
    (ended,) = (event for event in until(events, TurnEnded) if isinstance(event, TurnEnded))
    return ended


def test_a_longer_document_opens_a_larger_window(engine: Engine, events: queue.Queue[Event], models: Models) -> None:
    engine.ask(question(document(9000)))
    seen = until(events, TurnEnded)
    assert [event.n_ctx for event in seen if isinstance(event, WindowChanged)] == [16_384]
    assert [event.counts for event in seen if isinstance(event, DocumentsCounted)] == [{"a" * 64: 9000}]
    assert models.opened == [4096, 16_384]
    assert "x" * 9000 in models.backend.prompt()
    engine.ask(question(document(100, "b")))
    result_of(events)
    assert models.opened == [4096, 16_384]
    assert "x" * 101 not in models.backend.prompt()


def test_what_a_session_was_opened_with_is_searched_for_every_question(
    events: queue.Queue[Event], models: Models, tmp_path: Path
) -> None:
    with Library.open(tmp_path) as library:
        library.add(Document(Path("/made/pump.md"), "markdown", "Pump", "c" * 64, (Block(PUMP),)))

        def opened(model: str | None, **options: Any) -> Session:
            session = models(model, **options)
            session.documents = (library,)
            return session

        engine = Engine(opened, events.put)
        engine.start()
        engine.load("some")
        for about in ((), (document(9000),), ()):
            asked = question(*about)
            messages = [Message("user", "When does the pump stop?")]
            engine.ask(replace(asked, messages=messages))
            assert result_of(events).result.error is None
            assert PUMP in models.backend.prompt()
        engine.ask(preparation([document(9000)], None, only_if_cached=False))
        assert (
            result_of(events).result.finish_reason == "too long"
        )  # passages are searched: there is nothing to prepare
        engine.close()
    assert models.opened == [4096]
    assert models.backend.preparations == []


def test_a_long_conversation_counts_too(engine: Engine, events: queue.Queue[Event], models: Models) -> None:
    engine.ask(question(document(3500)))
    result_of(events)
    assert models.opened == [4096]
    asked = question(document(3500))
    long = [Message("user", "y" * 3000), Message("assistant", "ok"), *asked.messages]
    engine.ask(Question(long, asked.begin, asked.save, asked.finish, documents=asked.documents))
    result_of(events)
    assert models.opened == [4096, 8192]


def test_a_window_that_does_not_fit_is_tried_once(engine: Engine, events: queue.Queue[Event], models: Models) -> None:
    models.fits = 4096
    for _ in range(2):
        engine.ask(question(document(9000)))
    seen = [*until(events, TurnEnded), *until(events, TurnEnded)]
    (changed,) = (event for event in seen if isinstance(event, WindowChanged))
    assert changed.n_ctx == 4096
    assert "does not fit" in str(changed.error)
    assert models.opened == [4096, 16_384, 4096]


def test_a_window_that_the_user_gave_stays(engine: Engine, events: queue.Queue[Event], models: Models) -> None:
    models.fixed = 4096
    for _ in range(2):
        engine.ask(question(document(9000)))
    seen = [*until(events, TurnEnded), *until(events, TurnEnded)]
    assert [(event.n_ctx, event.error) for event in seen if isinstance(event, WindowChanged)] == [(4096, None)]
    assert models.opened == [4096, 4096]


def test_what_no_window_holds_opens_none(engine: Engine, events: queue.Queue[Event], models: Models) -> None:
    engine.ask(preparation([document(40_000)], None, only_if_cached=False))
    assert result_of(events).result.finish_reason == "too long"
    assert models.opened == [4096]
    assert models.backend.requests == []


def test_a_model_that_cannot_be_opened_again_is_told_of(
    engine: Engine, events: queue.Queue[Event], models: Models
) -> None:
    engine.ask(question(document(10)))
    result_of(events)
    models.fits = 100
    engine.ask(question(document(9000, "b")))
    seen = until(events, TurnEnded)
    assert [event.fallback for event in seen if isinstance(event, ModelFailed)] == [None]
    assert isinstance(seen[-1], TurnEnded)
    assert isinstance(seen[-1].result.error, ModelTooLargeError)


def test_a_preparation_that_is_not_cached_is_given_up_at_once(
    engine: Engine, events: queue.Queue[Event], models: Models
) -> None:
    until(events, ModelReady)
    models.backend.gate.clear()  # an answer would be waited for
    engine.ask(preparation([document(2000)], "system", only_if_cached=True))
    assert result_of(events).result.finish_reason == "cancelled"
    models.backend.gate.set()
    models.backend._cached = []
    engine.ask(preparation([document(2000)], "system", only_if_cached=False))
    assert result_of(events).result.finish_reason == "stop"
    engine.ask(preparation([document(2000)], "system", only_if_cached=True))
    ended = result_of(events)
    assert ended.result.finish_reason == "stop"
    assert ended.result.usage.cached_tokens >= 2000


def test_which_of_several_documents_were_cached() -> None:
    items = [ChatDocument(Path(name), n_tokens=1000, state="read") for name in ("a.md", "b.md", "c.md")]
    for item, sha in zip(items, "abc", strict=True):
        item.document = document(1000, sha)
    told(items, cached_tokens=2100, n_around=110)
    assert [item.state for item in items] == ["cached", "cached", "evaluated"]
    assert ready_words(items) == "3 documents ready"
    assert ready_words(items[:1]) == "document ready (cached)"
    told(items, cached_tokens=0, n_around=110)
    assert items[0].state == "cached"
    told(items, cached_tokens=0, n_around=None)
    assert {item.state for item in items} == {"searched"}
    assert ready_words(items) == ""


def test_a_short_document_behind_a_cached_one_is_not_called_cached() -> None:
    long, short = (ChatDocument(Path(f"{n}.md"), n_tokens=n, state="read") for n in (5000, 60))
    told([long, short], cached_tokens=5100, n_around=110)  # 100 before the documents, 10 behind them
    assert (long.state, short.state) == ("cached", "evaluated")
    again = ChatDocument(Path("60.md"), n_tokens=60, state="read")
    told([long, again], cached_tokens=5160, n_around=110)
    assert [again.state] == ["cached"]
