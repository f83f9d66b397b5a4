"""How far something is and how long it takes."""

from __future__ import annotations

import pytest

from tui import pace
from tui.pace import Pace, time_text


def test_time_left_follows_what_was_done_since_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(pace.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    one = Pace()
    assert one.words == ""
    one.tell(500, 1000)  # had been done before
    assert one.words == "50%"
    now += 0.5
    one.tell(510, 1000)
    assert one.words == "51%", "too early to say"
    now += 9.5
    one.tell(600, 1000)
    assert one.words == "60%, 40 s left"
    one.tell(1000, 1000)
    assert one.words == "100%, 0 s left"


@pytest.mark.parametrize(("seconds", "words"), [(12.4, "12 s"), (180, "3 min"), (7200, "2 h")])
def test_times_are_as_exact_as_they_can_be_known(seconds: float, words: str) -> None:
    assert time_text(seconds) == words
