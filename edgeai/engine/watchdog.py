"""Ends an engine that makes no progress: the only cure for a loop inside one native call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SLICE_S = 1.0
_HURRIED_SLICE_S = 0.05
_LEAST_S = 30.0
_LEAST_UNMEASURED_S = 60.0
_DISK_BYTES_PER_S = 20e6  # an old memory card: a token may have to read all the weights from it again
_PATIENCE = 100.0
_POLITE_S = (1.0, 5.0)
_ENCODE_S = 300.0  # half a minute of sound through the largest Whisper encoder, on a small board


class Pace:
    """How long a model may take for its next tokens, from what it took so far on this machine.

    While nothing was measured, a minute and the time a slow disk needs to read the weights twice; afterwards a hundred
    times the slowest time for a token seen so far, and never less than half a minute and the time of the slow disk.

    Attributes:
        polite_s: how long a cancelled generation may go on: llama.cpp looks for the wish after every operator, and none
            takes a quarter of a step.
        encode_s: what a step may take longer in which a medium goes through its encoder.
    """

    def __init__(self, size_bytes: int, fixed_s: float | None = None) -> None:
        """`fixed_s`, where it is given, is the limit whatever was measured."""
        self._fixed_s = fixed_s
        self._disk_s = size_bytes / _DISK_BYTES_PER_S
        self._slowest_s: dict[str, float] = {}
        self.polite_s = _POLITE_S[0]
        self.encode_s = _ENCODE_S if fixed_s is None else 0.0

    def record(self, phase: str, n_tokens: int, seconds: float) -> None:
        """A step of a phase ("prefill", "decode") took so long."""
        self._slowest_s[phase] = max(self._slowest_s.get(phase, 0.0), seconds / max(n_tokens, 1))
        self.polite_s = max(self.polite_s, min(seconds / 4, _POLITE_S[1]))

    def limit_s(self, phase: str, n_tokens: int = 1) -> float:
        """Seconds that the next step may take."""
        if self._fixed_s is not None:
            return self._fixed_s
        if phase not in self._slowest_s:
            return _LEAST_UNMEASURED_S + 2 * self._disk_s
        return max(_LEAST_S + self._disk_s, _PATIENCE * self._slowest_s[phase] * n_tokens)


class Watchdog:
    """A thread that watches the waiting for one engine.

    Time is counted in slices of a second, of which none counts more than two: a machine that was asleep, or a process
    that was stopped, has not waited all that time.

    Attributes:
        limit_s: what the present wait, or the last one, may take.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bite: Callable[[], None] | None = None
        self.limit_s = 0.0
        self._hurried = False
        self._waiting = False
        self._n_fed = 0
        self._closed = False
        threading.Thread(target=self._run, name="edgeai-watchdog", daemon=True).start()

    def watch(self, bite: Callable[[], None]) -> None:
        """From now on call `bite` when a wait takes too long; once."""
        with self._changed:
            self._bite, self._hurried = bite, False
            self._changed.notify()

    def rest(self) -> None:
        """Nothing is waited for any more."""
        with self._changed:
            self._bite, self._waiting = None, False

    def wait(self, limit_s: float) -> None:
        """A wait begins that may take so long. Cheap: no lock is taken."""
        if not self._hurried:
            self.limit_s = limit_s
        self._n_fed += 1
        self._waiting = True

    def waited(self) -> None:
        """The wait is over."""
        self._waiting = False

    def hurry(self, limit_s: float) -> None:
        """All that is still waited for, together, may take so long."""
        with self._changed:
            if self._bite is not None and not self._hurried:
                self.limit_s, self._hurried = limit_s, True
                self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed, self._bite = True, None
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._bite is not None or self._closed)
                if self._closed:
                    return
                watched = self._bite
            self._follow(watched)

    def _follow(self, watched: Callable[[], None] | None) -> None:
        """Count the time of waits until the watch is called off, or bite."""
        waited_s, n_fed, hurried = 0.0, self._n_fed, False
        while True:
            before = time.monotonic()
            with self._changed:
                if self._bite is not watched or self._closed:
                    return
                idle_s = _HURRIED_SLICE_S if self._hurried else _SLICE_S
                left_s = max(self.limit_s - waited_s, 0.0) if self._waiting else idle_s
                self._changed.wait(min(left_s, _SLICE_S))
                if self._bite is not watched or self._closed:
                    return
                if (n_fed != self._n_fed and not self._hurried) or hurried != self._hurried:
                    waited_s, n_fed, hurried = 0.0, self._n_fed, self._hurried
                    continue
                if self._waiting:
                    waited_s += min(time.monotonic() - before, 2 * _SLICE_S)
                if waited_s < self.limit_s:
                    continue
                self._bite = None
            if watched is not None:
                watched()
            return
