"""The thread that owns the session."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.message import Message as Event

from edgeai import ContextOverflowError, HistoryError, Message, ModelNotFoundError
from edgeai.session import Session
from tests.fakes import FakeBackend
from tui.engine import Engine
from tui.engine_events import ModelFailed, ModelLoading, ModelReady, TurnBegun, TurnEnded, TurnReading
from tui.turn import Question, Result


class Harness:
    """An engine on fake models, its events and what it stored."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.backends: list[FakeBackend] = []
        self.next_backend = FakeBackend()
        self.stored: list[str | Result] = []
        self.engine = Engine(self.open_session, self.events.put)
        self.engine.start()

    def open_session(
        self, model: str | None, *, on_load_progress: Callable[[float], None], **load_options: Any
    ) -> Session:
        if model == "missing":
            raise ModelNotFoundError("missing: no such model")
        if model == "odd":
            raise OverflowError("from a native library")
        on_load_progress(0.5)
        backend, self.next_backend = self.next_backend, FakeBackend()
        self.backends.append(backend)
        return Session(backend=backend)

    def until(self, kind: type[Event]) -> list[Event]:
        """The events up to the first of a kind."""
        events: list[Event] = []
        while not events or not isinstance(events[-1], kind):
            events.append(self.events.get(timeout=10))
        return events

    def question(self, text: str = "hello") -> Question:
        store = self.stored.append
        return Question([Message("user", text)], begin=store, save=store, finish=store)


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    for backend in harness.backends:
        backend.gate.set()
    harness.engine.close()


def test_a_question_waits_for_the_model_and_is_answered(harness: Harness) -> None:
    harness.next_backend.enqueue("one two three")
    harness.engine.load("fake")
    turn = harness.engine.ask(harness.question())
    kinds = [type(event) for event in harness.until(TurnEnded)]
    assert kinds == [ModelLoading, ModelLoading, ModelReady, *kinds[3:]]
    assert kinds.index(TurnBegun) < kinds.index(TurnEnded)
    assert TurnReading in kinds
    assert turn.take() == "one two three"
    assert turn.take() == ""


def test_a_turn_is_stored_before_it_is_shown_as_finished(harness: Harness) -> None:
    harness.engine.load(None)
    harness.next_backend.enqueue("yes")
    harness.engine.ask(harness.question())
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert harness.stored == ["Fake", ended.result]
    assert (ended.result.text, ended.result.finish_reason, ended.result.error) == ("yes", "stop", None)


def test_cancelling_keeps_what_was_made(harness: Harness) -> None:
    backend = harness.next_backend.enqueue("one two three")
    harness.engine.load(None)
    backend.gate.clear()
    turn = harness.engine.ask(harness.question())
    harness.until(TurnBegun)
    turn.cancel()
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert ended.result.finish_reason == "cancelled"
    assert harness.stored[-1] is ended.result


def test_a_turn_cancelled_while_it_waits_is_never_begun(harness: Harness) -> None:
    backend = harness.next_backend.enqueue("one two")
    harness.engine.load(None)
    backend.gate.clear()
    harness.engine.ask(harness.question())
    harness.until(TurnBegun)
    waiting = harness.engine.ask(harness.question())
    waiting.cancel()
    backend.gate.set()
    harness.until(TurnEnded)
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert ended.turn is waiting
    assert not waiting.begun
    assert len(harness.stored) == 2  # the first turn's


def test_a_question_that_does_not_fit_is_not_stored(harness: Harness) -> None:
    harness.next_backend = FakeBackend(n_ctx=64)
    harness.engine.load(None)
    harness.engine.ask(harness.question("x" * 100))
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert isinstance(ended.result.error, ContextOverflowError)
    assert harness.stored == []


def test_an_engine_error_keeps_the_partial_turn(harness: Harness) -> None:
    harness.engine.load(None)
    harness.next_backend.enqueue(RuntimeError("boom"))
    harness.engine.ask(harness.question())
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert "boom" in str(ended.result.error)
    assert harness.stored == ["Fake", ended.result]


def test_a_full_disk_stops_the_turn_before_it_begins(harness: Harness) -> None:
    def full(_: object) -> None:
        raise HistoryError("the disk is full")

    harness.engine.load(None)
    turn = harness.engine.ask(Question([Message("user", "x")], begin=full, save=full, finish=full))
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert isinstance(ended.result.error, HistoryError)
    assert not turn.begun


@pytest.mark.parametrize("model", ["missing", "odd"])
def test_a_model_that_fails_leaves_the_one_before(harness: Harness, model: str) -> None:
    harness.engine.load("good")
    harness.until(ModelReady)
    harness.engine.load(model)
    failed = harness.until(ModelFailed)[-1]
    assert isinstance(failed, ModelFailed)
    assert failed.fallback == "good"
    assert harness.backends[0].closed
    harness.engine.ask(harness.question())
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert ended.result.finish_reason == "stop"


def test_without_a_model_a_question_is_refused_with_the_next_step(harness: Harness) -> None:
    harness.engine.load("missing")
    harness.engine.ask(harness.question())
    ended = harness.until(TurnEnded)[-1]
    assert isinstance(ended, TurnEnded)
    assert isinstance(ended.result.error, ModelNotFoundError)
    assert "edgeai models pull" in str(ended.result.error)


def test_closing_stores_what_was_made_and_frees_the_model(harness: Harness) -> None:
    backend = harness.next_backend.enqueue("one two")
    harness.engine.load(None)
    backend.gate.clear()
    harness.engine.ask(harness.question())
    harness.until(TurnBegun)
    harness.engine.close()
    assert isinstance(harness.stored[-1], Result)
    assert harness.stored[-1].finish_reason == "cancelled"
    assert backend.closed
