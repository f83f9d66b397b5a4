"""Words that come within moments go to the session together; none is lost, and the first comes at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from edgeai.backends.base import Event, Finished, Piece, PrefillProgress
from edgeai.engine.child import _together
from edgeai.errors import GenerationError
from edgeai.response import Timings, Usage

END = Finished("stop", Usage(1, 0, 3), Timings(0.0, 0.0, 0.0, 0.0, 0.0))


def at_once(*events: Event | Exception) -> Iterator[Event]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_quick_words_come_together(clock: list[float]) -> None:
    events: list[Event] = [PrefillProgress(1, 1, 0), Piece("a", 1), Piece("b", 2), Piece("c", 3), END]
    assert list(_together(at_once(*events))) == [events[0], events[1], Piece("bc", 3), END]


def test_slow_words_come_one_by_one(clock: list[float]) -> None:
    def slowly() -> Iterator[Event]:
        for number, text in enumerate("abc", 1):
            clock[0] += 0.1
            yield Piece(text, number)
        yield END

    assert list(_together(slowly())) == [Piece("a", 1), Piece("b", 2), Piece("c", 3), END]


def test_a_failure_loses_no_words(clock: list[float]) -> None:
    pieces = _together(at_once(Piece("a", 1), Piece("b", 2), GenerationError("no more")))
    assert [next(pieces), next(pieces)] == [Piece("a", 1), Piece("b", 2)]
    with pytest.raises(GenerationError):
        next(pieces)
