"""The clock and the counts of one generation."""

from __future__ import annotations

import time

from edgeai.backends.base import Finished, GenerateRequest
from edgeai.response import FinishReason, Timings, Usage


class RunClock:
    """What became of one generation.

    Attributes:
        tokens: that were made.
        n_cached: of the prompt, those that were not evaluated.
    """

    def __init__(self, request: GenerateRequest) -> None:
        self.tokens: list[int] = []
        self.n_cached = 0
        self._n_prompt = len(request.tokens)
        self._started = self._prefilled = self._first = self._last = time.perf_counter()

    def prefilled(self) -> None:
        """The prompt is evaluated."""
        self._prefilled = time.perf_counter()

    def sampled(self) -> None:
        """A token was chosen."""
        self._last = time.perf_counter()
        if not self.tokens:
            self._first = self._last

    def finished(self, reason: FinishReason) -> Finished:
        """The last event."""
        prefill_s = self._prefilled - self._started
        decode_s = self._last - self._first
        n_new, n_tokens = self._n_prompt - self.n_cached, len(self.tokens)
        return Finished(
            reason,
            Usage(prompt_tokens=self._n_prompt, cached_tokens=self.n_cached, completion_tokens=n_tokens),
            Timings(
                prefill_ms=prefill_s * 1000,
                ttft_ms=(self._first - self._started) * 1000,
                decode_ms=decode_s * 1000,
                prefill_tokens_per_s=n_new / prefill_s if prefill_s > 0 else 0.0,
                decode_tokens_per_s=(n_tokens - 1) / decode_s if n_tokens > 1 and decode_s > 0 else 0.0,
            ),
            tuple(self.tokens),
        )
