"""How much there is to read and write, and how long that takes here: measured before, and again with each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeai.response import Timings, Usage
from edgeai.speed_prompt import speed_prompt

if TYPE_CHECKING:
    from edgeai.session import Session

_N_READ, _N_WRITTEN = 96, 12  # short: a slow model takes some seconds for it, too
_LEAST_TOKENS = 200  # of real steps, after which they count instead of the trial
_FULLNESS = 0.7
"""Of the tokens that a step may write; most answers end before."""


@dataclass(slots=True)
class Budget:
    """What is to be done.

    Attributes:
        n_steps: answers of the model.
        n_done: those of them that are kept from an earlier run.
        n_read: tokens of the other ones' prompts.
        n_written: tokens that their answers may have.
    """

    n_steps: int = 0
    n_done: int = 0
    n_read: int = 0
    n_written: int = 0


@dataclass(slots=True)
class _Rate:
    """Tokens a second: of a trial, and then of what was really done."""

    n_tokens: float = 0
    seconds: float = 0

    def add(self, n_tokens: float, seconds: float) -> None:
        if n_tokens > 0 and seconds > 0:
            self.n_tokens += n_tokens
            self.seconds += seconds

    @property
    def per_s(self) -> float | None:
        return self.n_tokens / self.seconds if self.seconds else None


class Meter:
    """Tokens a second of this model on this machine."""

    def __init__(self) -> None:
        self._trial = (_Rate(), _Rate())
        self._real = (_Rate(), _Rate())
        self._n_allowed = 0
        self._n_written = 0

    def try_out(self, session: Session) -> None:
        """Read and write a few tokens, which takes a moment."""
        session.complete("0 1 2", max_tokens=2).wait()  # brings the weights into memory
        n_read = min(_N_READ, session.n_ctx // 2)
        response = session.complete(speed_prompt(session, n_read, 0), max_tokens=_N_WRITTEN, temperature=0)
        self._count(self._trial, response.usage, response.timings)

    def add(self, usage: Usage, timings: Timings, max_tokens: int) -> None:
        """A step is done."""
        self._count(self._real, usage, timings)
        self._n_allowed += max_tokens
        self._n_written += usage.completion_tokens

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """Tokens read and written a second; None where it is not known."""
        pairs = zip(self._trial, self._real, strict=True)
        read, written = (real if real.n_tokens >= _LEAST_TOKENS else trial for trial, real in pairs)
        return read.per_s or self._trial[0].per_s, written.per_s or self._trial[1].per_s

    def seconds(self, n_read: float, n_written: float) -> float | None:
        """About how long that takes; None where it is not known."""
        read, written = self.rates
        if read is None or written is None:
            return None
        fullness = self._n_written / self._n_allowed if self._n_allowed >= _LEAST_TOKENS else _FULLNESS
        return n_read / read + n_written * fullness / written

    def _count(self, rates: tuple[_Rate, _Rate], usage: Usage, timings: Timings) -> None:
        rates[0].add(usage.prompt_tokens - usage.cached_tokens, timings.prefill_ms / 1000)
        rates[1].add(usage.completion_tokens - 1, timings.decode_ms / 1000)
