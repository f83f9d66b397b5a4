"""One scoring as the session's side sees it: checks what the engine sends, and turns it into events."""

from __future__ import annotations

import time
from dataclasses import replace

from edgeai.backends.base import (
    ModelInfo,
    PrefillProgress,
    Scored,
    ScoreEvent,
    ScoreFinished,
    ScoreProgress,
    ScoreRequest,
)
from edgeai.engine.watchdog import Pace
from edgeai.engine.wire import Rated, Rating, RatingEnded, Read, Reply, Score
from edgeai.media import Medium

_MORE_EVENTS = 16  # than items and tokens: the beginning and the end


class ScoreRun:
    """What its replies must look like, and what is being done, for errors. See `edgeai.engine.run.Run`.

    Attributes:
        ended: no more replies will come.
        finished: the last event, once it is there.
        n_evaluated: tokens that stand in the conversation's KV cache, which scoring leaves alone.
        media: none.
    """

    media: tuple[Medium, ...] = ()

    def __init__(self, request: ScoreRequest, pace: Pace, n_evaluated: int) -> None:
        self.ended = False
        self.finished: ScoreFinished | None = None
        self.n_evaluated = n_evaluated
        self._request = request
        self._pace = pace
        self._left = {index: len(item.continuations) for index, item in enumerate(request.items)}
        self._n_prefix = len(request.prefix)
        self._n_items = sum(len(item.tokens) + sum(map(len, item.continuations)) for item in request.items)
        self._n_read = self._n_done = self._n_events = 0
        self._most_events = 2 * (self._n_prefix + self._n_items) + len(request.items) + _MORE_EVENTS
        self._at: float | None = None

    def message(self, number: int) -> Score:
        """What asks the engine for it, by this number."""
        return Score(number, replace(self._request, caller_cpu_s=time.process_time()))

    @property
    def doing(self) -> str:
        """What is being done."""
        if self._n_read < self._n_prefix:
            return f"reading what all texts begin with ({self._n_read:,} of {self._n_prefix:,} tokens)"
        return f"scoring texts ({len(self._left):,} of {len(self._request.items):,} are left)"

    @property
    def limit_s(self) -> float:
        """How long the next reply may take."""
        n_left = self._n_prefix - self._n_read or max(self._n_items - self._n_done, 1)
        return self._pace.limit_s("prefill", n_left)

    def event(self, reply: Reply, _info: ModelInfo) -> ScoreEvent | None:
        """A reply as an event; the last one is kept in `finished`.

        Raises:
            ValueError: it cannot follow what came before.
        """
        self._n_events += 1
        if self._n_events > self._most_events:
            raise ValueError(f"{self._n_events:,} messages about {len(self._request.items):,} items")
        if isinstance(reply, Read):
            return self._read(reply)
        if isinstance(reply, Rating):
            return self._progress(reply)
        if isinstance(reply, Rated):
            return self._scored(reply)
        if isinstance(reply, RatingEnded):
            if self._left and not reply.cancelled:
                raise ValueError(f"the end came before {len(self._left):,} items were scored")
            self.ended = True
            self.finished = ScoreFinished(
                reply.cancelled, reply.n_prefix, reply.n_tokens, reply.n_batches, reply.n_batch
            )
            return None
        raise ValueError(f"{type(reply).__name__} came while texts were scored")

    def _read(self, reply: Read) -> PrefillProgress:
        # a prefix may give its last token to items without any
        if not self._n_read <= reply.n_done <= reply.n_total <= self._n_prefix <= reply.n_total + 1:
            raise ValueError(f"{reply.n_done} of {reply.n_total} tokens read")
        self._record(reply.n_done - self._n_read)
        self._n_read = reply.n_done if reply.n_done < reply.n_total else self._n_prefix
        return PrefillProgress(reply.n_done, reply.n_total, reply.n_cached)

    def _progress(self, reply: Rating) -> ScoreProgress:
        if not self._n_done < reply.n_done <= reply.n_total:
            raise ValueError(f"{reply.n_done} of {reply.n_total} tokens scored")
        self._record(reply.n_done - self._n_done)
        self._n_done = reply.n_done
        return ScoreProgress(reply.n_done, reply.n_total)

    def _scored(self, reply: Rated) -> Scored:
        n_wanted = self._left.pop(reply.index, None)
        if n_wanted is None or len(reply.log_probs) != n_wanted or len(reply.greedy) != n_wanted:
            raise ValueError(f"{len(reply.log_probs)} scores of item {reply.index}")
        if not all(value <= 0 for value in reply.log_probs):  # no NaN is
            raise ValueError(f"a probability that is none, of item {reply.index}")
        return Scored(reply.index, reply.log_probs, reply.greedy)

    def _record(self, n_tokens: int) -> None:
        before, self._at = self._at, time.perf_counter()
        if before is not None and n_tokens > 0:
            self._pace.record("prefill", n_tokens, self._at - before)

    def cancelled(self) -> None:
        """The end of a scoring whose process was ended because it did not stop."""
        self.finished = ScoreFinished(True, self._n_read, self._n_done, 0, 0)
