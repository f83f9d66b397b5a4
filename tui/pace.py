"""How far something is, and how long it still takes, from how fast it was so far."""

from __future__ import annotations

import time

_AFTER_S = 1.0  # before that, its speed says nothing yet


class Pace:
    """One thing that goes on: `tell` what is done, and read the words."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None
        self._now: tuple[float, int] = (0.0, 0)
        self._n_total = 0

    def tell(self, n_done: int, n_total: int) -> None:
        """So much is done. The first call is where it begins: what was done before took no time."""
        self._now, self._n_total = (time.monotonic(), n_done), n_total
        self._began = self._began or self._now

    @property
    def words(self) -> str:
        """`34%, 12 s left`."""
        if not self._n_total:
            return ""
        share = f"{self._now[1] / self._n_total:.0%}"
        return f"{share}, {time_text(left)} left" if (left := self._left_s()) is not None else share

    def _left_s(self) -> float | None:
        if self._began is None:
            return None
        elapsed, n_done = (now - began for now, began in zip(self._now, self._began, strict=True))
        if elapsed < _AFTER_S or n_done <= 0:
            return None
        return (self._n_total - self._now[1]) * elapsed / n_done


def time_text(seconds: float) -> str:
    """`12 s`, `3 min`, `2 h`: as far as it can be known beforehand."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
