"""One generation as the session's side sees it: checks what the engine sends, and turns it into events."""

from __future__ import annotations

import time
from dataclasses import replace

from edgeai.backends.base import Event, Finished, GenerateRequest, ModelInfo, Piece, PrefillProgress, StateSaved
from edgeai.engine.watchdog import Pace
from edgeai.engine.wire import Ended, Generate, Read, Reply, Saved, Written, check_ended, encodable
from edgeai.response import Timings, Usage

_MAX_TEXT_CHARS = 64 * 2**20
_MORE_EVENTS = 16  # than tokens: the beginning and the end


class Run:
    """What its replies must look like, and what is being done, for errors.

    Attributes:
        ended: no more replies will come.
        finished: the last event, once it is there.
        n_evaluated: tokens that stand in the KV cache.
        media: those in the prompt.
    """

    def __init__(self, request: GenerateRequest, pace: Pace) -> None:
        self.ended = False
        self.finished: Finished | None = None
        self.n_evaluated = 0
        self.media = request.media
        self._request = request
        self._pace = pace
        self._n_prompt = len(request.tokens)
        self._encode_s = pace.encode_s if request.media else 0.0
        self._unsaved = {file.name for file in request.save_as}
        self._unsaved |= {file.name for file in request.encoded if not file.is_kept}
        self._n_events = self._n_read = self._n_cached = self._n_written = self._n_chars = 0
        self._phase = "start"
        self._at = time.perf_counter()

    def message(self, number: int) -> Generate:
        """What asks the engine for it, by this number."""
        return Generate(number, replace(encodable(self._request), caller_cpu_s=time.process_time()))

    @property
    def doing(self) -> str:
        """What is being done."""
        if self._n_read < self._n_prompt:
            return f"reading the prompt ({self._n_read:,} of {self._n_prompt:,} tokens)"
        return f"writing token {self._n_written + 1:,}"

    @property
    def limit_s(self) -> float:
        """How long the next reply may take."""
        reading = self._n_read < self._n_prompt
        if reading:
            return self._pace.limit_s("prefill", self._n_prompt - self._n_read) + self._encode_s
        return self._pace.limit_s("decode")

    def event(self, reply: Reply, info: ModelInfo) -> Event | None:
        """A reply as an event; the last one is kept in `finished`.

        Raises:
            ValueError: it cannot follow what came before.
        """
        self._n_events += 1
        if self._n_events > self._n_prompt + info.n_ctx + _MORE_EVENTS:
            raise ValueError(f"{self._n_events:,} messages about {self._n_prompt:,} tokens")
        if isinstance(reply, Read):
            return self._read(reply)
        if isinstance(reply, Written):
            return self._written(reply, info.n_ctx)
        if isinstance(reply, Saved):
            if reply.name not in self._unsaved:
                raise ValueError(f"a state {reply.name[:40]!r} that was not to be saved")
            self._unsaved.remove(reply.name)
            self._at = time.perf_counter()  # which was no reading
            return StateSaved(reply.name)
        if isinstance(reply, Ended):
            check_ended(reply)
            if len(reply.tokens) > info.n_ctx or any(token >= info.n_vocab for token in reply.tokens):
                raise ValueError("tokens that the model does not have")
            self.ended = True
            self.n_evaluated = reply.n_evaluated
            self.finished = Finished(reply.reason, reply.usage, reply.timings, reply.tokens)
            return None
        raise ValueError(f"{type(reply).__name__} came while text was generated")

    def _read(self, reply: Read) -> PrefillProgress:
        if not (self._n_read <= reply.n_done <= reply.n_total == self._n_prompt and reply.n_cached <= reply.n_done):
            raise ValueError(f"{reply.n_done} of {reply.n_total} tokens read, {reply.n_cached} of them before")
        if self._phase == "prefill":
            self._pace.record("prefill", reply.n_done - self._n_read, self._elapsed_s())
        self._phase, self._n_read, self._n_cached = "prefill", reply.n_done, reply.n_cached
        self.n_evaluated = reply.n_done
        return PrefillProgress(reply.n_done, reply.n_total, reply.n_cached)

    def _written(self, reply: Written, n_ctx: int) -> Piece:
        self._n_chars += len(reply.text)
        if not self._n_written <= reply.n_tokens <= n_ctx or self._n_chars > _MAX_TEXT_CHARS:
            raise ValueError(f"token {reply.n_tokens} after token {self._n_written}")
        elapsed_s = self._elapsed_s()
        if self._phase == "decode":
            self._pace.record("decode", 1, elapsed_s)
        self._phase, self._n_written = "decode", reply.n_tokens
        self.n_evaluated = self._n_prompt + max(reply.n_tokens - 1, 0)
        return Piece(reply.text, reply.n_tokens)

    def _elapsed_s(self) -> float:
        before, self._at = self._at, time.perf_counter()
        return self._at - before

    def cancelled(self) -> None:
        """The end of a generation whose process was ended because it did not stop."""
        usage = Usage(prompt_tokens=self._n_prompt, cached_tokens=self._n_cached, completion_tokens=self._n_written)
        self.finished = Finished("cancelled", usage, Timings())
