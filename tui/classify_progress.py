"""How far a classification is: a bar, items a second, and what time is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from tui.commands.bench import bar
from tui.notes_job import time_text
from tui.progress_line import ProgressLine

_EVERY_S = 0.1
_BAR_CELLS = 20


class Pace:
    """Shows it on a line of progress.

    Args:
        line: the line.
        n_total: about so many rows; 0 where that is not known.
        n_before: of them, those that were done earlier.
        clock: seconds.
    """

    def __init__(
        self, line: ProgressLine, n_total: int, n_before: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._line, self._n_total, self._n_before, self._clock = line, n_total, n_before, clock
        self.n_new = self._n_scored = 0
        self._began = clock()
        self._shown = 0.0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return max(self._clock() - self._began, 1e-6)

    def step(self, n: int = 1) -> None:
        """So many rows more are done."""
        self.n_new += n
        self._tell()

    def scored(self) -> None:
        """One row more will be done soon."""
        self._n_scored += 1
        self._tell()

    def _tell(self) -> None:
        if self._clock() - self._shown > _EVERY_S:
            self._shown = self._clock()
            self._line.show(self.text())

    def text(self) -> str:
        """One line of at most 78 cells."""
        n_new = max(self.n_new, self._n_scored)
        n_done, rate = self._n_before + n_new, n_new / self.seconds
        speed = f"{rate:,.0f} items/s" if rate >= 10 else f"{rate:.1f} items/s"
        if not self._n_total:
            return f"{n_done:,} rows · {speed}"
        share = min(1.0, n_done / self._n_total)
        left = f" · {time_text(max(self._n_total - n_done, 0) / rate)} left" if n_new else ""
        return f"▕{bar(share, 1.0, _BAR_CELLS)}▏ {share:4.0%} · {n_done:,} rows · {speed}{left}"
