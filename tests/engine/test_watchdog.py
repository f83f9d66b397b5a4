"""The watchdog bites when a wait takes too long, and only then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from edgeai.engine.watchdog import Pace, Watchdog


@pytest.fixture
def dog() -> Iterator[Watchdog]:
    dog = Watchdog()
    yield dog
    dog.close()


def test_it_bites_once_when_a_wait_takes_too_long(dog: Watchdog) -> None:
    bites: list[float] = []
    bitten = threading.Event()

    def bite() -> None:
        bites.append(dog.limit_s)
        bitten.set()

    dog.watch(bite)
    dog.wait(0.1)
    assert bitten.wait(5)
    time.sleep(0.3)
    assert bites == [0.1]


def test_progress_and_pauses_between_waits_keep_it_quiet(dog: Watchdog) -> None:
    bitten = threading.Event()
    dog.watch(bitten.set)
    for _ in range(20):
        dog.wait(0.2)
        time.sleep(0.02)
        dog.waited()
    time.sleep(0.5)  # whoever reads the answer takes a break
    assert not bitten.is_set()
    dog.wait(0.1)
    assert bitten.wait(5)


def test_a_watch_that_was_called_off_does_not_bite(dog: Watchdog) -> None:
    bitten = threading.Event()
    dog.watch(bitten.set)
    dog.wait(0.1)
    dog.rest()
    time.sleep(0.4)
    assert not bitten.is_set()


def test_hurrying_is_not_put_off_by_progress(dog: Watchdog) -> None:
    bitten = threading.Event()
    dog.watch(bitten.set)
    dog.wait(100)
    dog.hurry(0.2)
    started = time.monotonic()
    while not bitten.is_set() and time.monotonic() - started < 5:
        dog.wait(100)
        time.sleep(0.01)
    assert bitten.is_set()


def test_hurrying_counts_only_the_waiting(dog: Watchdog) -> None:
    bitten = threading.Event()
    dog.watch(bitten.set)
    dog.hurry(0.2)
    time.sleep(0.6)
    assert not bitten.is_set()
    dog.wait(100)
    assert bitten.wait(5)


def test_a_second_watch_starts_anew(dog: Watchdog) -> None:
    first, second = threading.Event(), threading.Event()
    dog.watch(first.set)
    dog.wait(0.1)
    dog.rest()
    dog.watch(second.set)
    dog.wait(0.1)
    assert second.wait(5)
    assert not first.is_set()


def test_the_limit_follows_what_was_measured() -> None:
    pace = Pace(size_bytes=0)
    unmeasured = pace.limit_s("decode")
    assert unmeasured >= 60
    pace.record("decode", 1, 0.01)
    assert 30 <= pace.limit_s("decode") < unmeasured
    pace.record("decode", 1, 4.0)
    assert pace.limit_s("decode") == 400
    pace.record("decode", 1, 0.1)
    assert pace.limit_s("decode") == 400
    assert pace.limit_s("prefill") == unmeasured
    pace.record("prefill", 128, 128.0)
    assert pace.limit_s("prefill", 512) == 100 * 512


def test_a_large_model_may_take_as_long_as_a_slow_disk_needs_for_it() -> None:
    small, large = Pace(10**8), Pace(10**10)
    assert large.limit_s("decode") > small.limit_s("decode") + 900
    large.record("decode", 1, 0.1)
    assert large.limit_s("decode") > 500


def test_a_fixed_limit_is_taken_as_it_is() -> None:
    pace = Pace(10**10, fixed_s=2.0)
    pace.record("decode", 1, 60.0)
    assert pace.limit_s("decode") == pace.limit_s("prefill", 5000) == pace.limit_s("load") == 2.0


def test_the_time_to_stop_politely_grows_with_the_steps_but_stays_short() -> None:
    pace = Pace(10**8)
    assert pace.polite_s == 1.0
    pace.record("prefill", 128, 8.0)
    assert pace.polite_s == 2.0
    pace.record("prefill", 128, 1000.0)
    assert pace.polite_s == 5.0
