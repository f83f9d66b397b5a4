"""How many threads compute the next token.

llama.cpp's threads wait for each other at some hundred barriers a token, and they wait spinning. While every thread
has a core of its own, that is the fastest way. When another process computes too, one thread is always off its core,
and all the others spin until it comes back: beside one busy process on two cores, two threads were measured to be
2 to 80 times *slower* than one. So the number of threads follows the cores that are free.

Two sources, each weak where the other is strong:

- *The clocks of the cores.* The cores that nobody else used = (CPU time of this process + idle time of the cores) /
  time passed. It needs no trial, is right within a tenth of a core after some 80 ms, and sees a neighbour come and
  go, even while we run on one thread or rest. It bounds the number of threads.
- *The time that tokens take.* Only it knows that six threads may be faster than eight (slow cores, memory
  bandwidth), or that the clocks are wrong (quotas, odd containers). So now and then another number is tried for three
  tokens, and kept if their median is better than that of the tokens just before; recent is compared with recent,
  because a growing context makes every token slower. After a trial that lost some time comes none for 40 times as
  long: trials cost 2.5 %.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import psutil

_WINDOW_S = 0.08  # idle clocks tick in 10 ms on Linux: shorter windows are noise
_TOLERANCE = 0.35  # of a core that others may use: a desktop's background does not cost us a thread
_RECENT_TOKENS = 8
_TRIAL_TOKENS = 3
_BETTER = 0.97  # a trial is kept when its median is at most this part of the usual time
_HOPELESS = 1.5  # one token that takes this many times the usual ends a trial
_PATIENCE = 40.0  # times what a trial lost
_MIN_WAIT_TOKENS = 16
_LONGEST_CAUTION_S = 5.0
_BLIND_WAIT_S = 20.0  # of undisturbed generating, before more threads than the clocks advise are tried all the same


class CpuTimes(NamedTuple):
    """Clocks in seconds from any start; `idle` is the sum over the cores this process may use, None when unknown."""

    wall: float
    process: float
    idle: float | None


def cpu_times() -> CpuTimes:
    """The clocks of this moment, in about 10 µs.

    A sandbox may hide the system's clocks (no /proc/stat, or one of zeros): then neighbours are seen only by the time
    they take from this process.
    """
    try:
        cores = psutil.cpu_times(percpu=True)
        if hasattr(os, "sched_getaffinity"):
            cores = [cores[core] for core in os.sched_getaffinity(0) if core < len(cores)]
        # what niced processes use is as good as idle: they make way
        idle = sum(core.idle + getattr(core, "iowait", 0.0) + getattr(core, "nice", 0.0) for core in cores)
    except (OSError, RuntimeError, psutil.Error):
        idle = 0.0
    return CpuTimes(time.perf_counter(), time.process_time(), idle or None)


class ThreadTuner:
    """The number of threads, followed through all generations of one loaded model.

    Call `resume` before each generation, `record` after each evaluation, and hand `n_threads` and `n_threads_batch`
    to `llama_set_n_threads` when they changed. Not thread-safe.

    Attributes:
        n_threads: threads for the next single token, 1 to max_threads.
        n_threads_batch: threads for the next piece of a prompt: all the cores that are free, at most max_threads.
    """

    def __init__(self, max_threads: int, clocks: Callable[[], CpuTimes] = cpu_times) -> None:
        self.n_threads = self.n_threads_batch = self._max = max(1, max_threads)
        self._clocks = clocks
        self._seen = clocks()
        self._caller_s = 0.0
        self._window_s = 0.0
        self._held_s = 0.0  # for how long n_threads has been what it is
        self._recent: deque[float] = deque(maxlen=_RECENT_TOKENS)
        self._usual_n = 0  # the number of threads that the trial is measured against; 0: no trial is on
        self._usual_s = 0.0
        self._trial: list[float] = []
        self._turn = 0
        self._wanted = 0  # a number to try before all others
        self._wait_s = 0.0  # until the next trial
        self._caution_s = _WINDOW_S  # after a neighbour came
        self._blind_wait_s = self._blind_left_s = _BLIND_WAIT_S

    def resume(self, caller_s: float = 0.0) -> None:
        """A generation begins: see how many cores were free during the pause.

        Args:
            caller_s: CPU time that the process has used so far which waits for this generation now. It counts as free.
        """
        now = self._clocks()
        if now.idle is not None and now.wall - self._seen.wall >= _WINDOW_S:
            self._bound(now._replace(process=now.process + caller_s - self._caller_s))
        self._caller_s = caller_s
        self._begin_window(now)

    def record(self, n_tokens: int, seconds: float) -> None:
        """An evaluation is done.

        Args:
            n_tokens: tokens evaluated; only the times of single ones are compared with each other.
            seconds: wall time it took.
        """
        self._window_s += seconds
        self._held_s += seconds
        self._wait_s -= seconds
        self._blind_left_s -= seconds
        if self._window_s >= _WINDOW_S:
            now = self._clocks()
            self._bound(now)
            self._begin_window(now)
        if n_tokens != 1:
            return
        if self._usual_n:
            self._judge(seconds)
            return
        self._recent.append(seconds)
        if self._wait_s <= 0 and len(self._recent) > _RECENT_TOKENS // 2:
            self._begin_trial()

    def _bound(self, now: CpuTimes) -> None:
        """Bound the number of threads by the cores that nobody else used since the last look."""
        n_free = self._free_cores(now)
        if n_free < self.n_threads:
            self._blind_left_s = self._blind_wait_s
        n_free = min(self._max, max(1, n_free))
        if n_free > self.n_threads_batch:  # a neighbour left: try its core soon
            self._wanted, self._wait_s = n_free, min(self._wait_s, self._caution_s)
        self.n_threads_batch = n_free
        if self.n_threads > n_free:
            # a neighbour that comes again and again is given the core for longer and longer
            again = self._held_s < 20 * self._caution_s
            self._caution_s = min(2 * self._caution_s, _LONGEST_CAUTION_S) if again else _WINDOW_S
            self._settle(n_free)
            self._wait_s = self._caution_s

    def _free_cores(self, now: CpuTimes) -> int:
        before, passed_s = self._seen, now.wall - self._seen.wall
        free = (now.process - before.process) / passed_s + _TOLERANCE
        if now.idle is not None and before.idle is not None:
            free += (now.idle - before.idle) / passed_s
        elif free >= self.n_threads:  # every thread had a core; whether there are more, only a trial can tell
            return max(self.n_threads, self.n_threads_batch)
        return int(free)

    def _begin_trial(self) -> None:
        n = self.n_threads
        # half first: where some cores, or the memory, are slow, leaving one thread out seldom helps
        around = [self._wanted] if self._is_option(self._wanted) else [n // 2, n - 1, n + 1, self.n_threads_batch]
        options = [option for option in around if self._is_option(option)]
        if not options:
            return
        self._usual_n, self._usual_s = n, statistics.median(self._recent)
        self.n_threads = options[self._turn % len(options)]
        self._turn += 1
        self._wanted = 0
        self._begin_window(self._clocks())
        if self.n_threads > self.n_threads_batch:
            self._blind_wait_s *= 2
            self._blind_left_s = self._blind_wait_s

    def _is_option(self, n: int) -> bool:
        bound = self._max if self._blind_left_s <= 0 else self.n_threads_batch
        return 1 <= n <= bound and n != self.n_threads

    def _judge(self, seconds: float) -> None:
        """One more token of a trial: go on, keep the new number, or go back."""
        self._trial.append(seconds)
        hopeless = seconds > _HOPELESS * self._usual_s
        if len(self._trial) < _TRIAL_TOKENS and not hopeless:
            return
        if not hopeless and statistics.median(self._trial) < _BETTER * self._usual_s:
            if self.n_threads > self.n_threads_batch:  # the clocks were wrong: climb on
                self._blind_wait_s, self._blind_left_s = _BLIND_WAIT_S, 0.0
            self._settle(self.n_threads)
            return
        lost_s = sum(self._trial) - len(self._trial) * self._usual_s
        self._settle(self._usual_n)
        self._begin_window(self._clocks())
        self._wait_s = max(_PATIENCE * lost_s, _MIN_WAIT_TOKENS * self._usual_s)

    def _begin_window(self, now: CpuTimes) -> None:
        """Measure free cores from now on; a window holds one number of threads."""
        self._seen, self._window_s = now, 0.0

    def _settle(self, n: int) -> None:
        """Go on with `n` threads; the times measured with another number count no more."""
        if n != self._usual_n:
            self._recent.clear()
            self._turn = 0
            self._held_s = 0.0
        self.n_threads = n
        self._usual_n = 0
        self._trial.clear()
