"""Both ends of a conversation for tests: a source that gives what it is told to, a speaker that plays in real time, a
recognizer that knows what was said by how long it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeai.speech.base import Recognized
from edgeai.speech.types import Segment
from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

BLOCK = 512
_ROOM_S = 0.06
"""So late a microphone hears a loudspeaker: the sound card, and the way through the air."""


class PacedSource:
    """Gives 16 kHz in real time: silence, unless something is said.

    Attributes:
        n_read: samples that were given so far.
    """

    sample_rate_hz = 16_000

    def __init__(self) -> None:
        self.n_read = 0
        self._waiting = self._room = np.zeros(0, np.float32)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._started = 0.0

    def say(self, waveform: Waveform) -> int:
        """Say this now; the sample at which it begins."""
        with self._lock:
            n_begin = self.n_read + len(self._waiting)
            self._waiting = np.concatenate([self._waiting, waveform])
            return n_begin

    def hear(self, waveform: Waveform, in_s: float) -> None:
        """A loudspeaker sounds in the room, and begins in so many seconds."""
        with self._lock:
            begin = max(0, round((in_s + _ROOM_S) * self.sample_rate_hz))  # a busy machine may be late
            missing = max(0, begin + len(waveform) - len(self._room))
            self._room = np.concatenate([self._room, np.zeros(missing, np.float32)])
            self._room[begin : begin + len(waveform)] += waveform

    def hear_no_more(self) -> None:
        """It is silent; what is in the air still arrives."""
        with self._lock:
            self._room = self._room[: round(_ROOM_S * self.sample_rate_hz)]

    def read(self) -> Waveform | None:
        self._started = self._started or time.monotonic()
        wait_s = self._started + (self.n_read + BLOCK) / self.sample_rate_hz - time.monotonic()
        if self._closed.wait(max(0.0, wait_s)):
            return None
        with self._lock:
            block = np.zeros(BLOCK, np.float32)
            for part in (self._waiting[:BLOCK], self._room[:BLOCK]):
                block[: len(part)] += part
            self._waiting, self._room = self._waiting[BLOCK:], self._room[BLOCK:]
            self.n_read += BLOCK
        return block

    def close(self) -> None:
        self._closed.set()


class PacedSink:
    """Plays in real time.

    Attributes:
        stopped_at: what the source had given when `stop` was called, for each time there was something to stop.
    """

    sample_rate_hz = 24_000

    def __init__(self, source: PacedSource, gain: float = 0.0) -> None:
        """`gain` is how loud the source hears it."""
        self.stopped_at: list[int] = []
        self.heard: list[Waveform] = []
        self._source, self._gain = source, gain
        self._resampler = Resampler(self.sample_rate_hz)
        self._lock = threading.Lock()
        self._n_written = 0
        self._ends_at = 0.0  # when all that was written has sounded

    @property
    def n_played(self) -> int:
        left_s = max(0.0, self._ends_at - time.monotonic())
        return self._n_written - int(left_s * self.sample_rate_hz)

    def write(self, waveform: Waveform) -> None:
        while self._ends_at - time.monotonic() > 0.2:
            time.sleep(0.005)
        with self._lock:
            begin = max(self._ends_at, time.monotonic())
            if self._gain:
                self._source.hear(self._gain * self._resampler.push(waveform), begin - time.monotonic())
            self._ends_at = begin + len(waveform) / self.sample_rate_hz
            self._n_written += len(waveform)
            self.heard.append(waveform)

    def stop(self) -> int:
        with self._lock:
            n_left = self._n_written - self.n_played
            if n_left:
                self.stopped_at.append(self._source.n_read)
            self._n_written -= n_left
            self._ends_at = 0.0
            self._source.hear_no_more()
            return n_left

    def drain(self) -> None:
        while self._ends_at > time.monotonic():
            time.sleep(0.005)

    def close(self) -> None:
        self.stop()


class LengthRecognizer:
    """Hears "long" in more than two seconds and "short" in less, or fails where it is told to.

    Attributes:
        error: that is raised instead.
        n_calls: so far.
        waits: when set, it is busy until the event happens.
        called: it was called.
    """

    name = "fake"
    n_workers = 1
    languages = ("en",)

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.n_calls = 0
        self.waits: threading.Event | None = None
        self.called = threading.Event()

    def recognize(
        self, waveforms: Sequence[Waveform], language: str | None = None, *, with_words: bool = False
    ) -> list[Recognized]:
        self.n_calls += 1
        self.called.set()
        if self.waits is not None:
            assert self.waits.wait(20)
        if self.error is not None:
            raise self.error
        words = ["long" if len(waveform) > 2 * 16_000 else "short" for waveform in waveforms]
        return [Recognized("en", (Segment(word, 0.0, 1.0, "en"),)) for word in words]

    def close(self) -> None:
        pass


def sound(*parts: tuple[float, float]) -> Waveform:
    """Seconds at a level, one after the other; speech is what is loud."""
    return np.concatenate([np.full(round(seconds * 16_000), level, np.float32) for seconds, level in parts])


SHORT = sound((0.2, 0.0), (1.0, 0.9), (1.0, 0.0))
LONG = sound((0.2, 0.0), (6.0, 0.9), (1.0, 0.0))


class QuickSource:
    """Gives a waveform as fast as it is asked, and ends with it or with an error.

    Attributes:
        is_over: all of it was given.
        waits_at: with so many blocks left it waits for `may_go_on`.
    """

    sample_rate_hz = 16_000

    def __init__(self, waveform: Waveform, error: Exception | None = None) -> None:
        self.is_over, self.closed = threading.Event(), threading.Event()
        self.waits_at, self.may_go_on = -1, threading.Event()
        self._blocks = np.array_split(waveform, range(512, len(waveform), 512))
        self._error = error

    def read(self) -> Waveform | None:
        if len(self._blocks) == self.waits_at:
            assert self.may_go_on.wait(20)
        if self._blocks and not self.is_closed:
            return self._blocks.pop(0)
        self.is_over.set()
        if self._error is not None:
            raise self._error
        return None

    @property
    def is_closed(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()
