"""The engine process: loads one model in a sandbox and serves one session over two pipes.

Its main thread computes. A second one, started once the sandbox is closed, reads the requests, so that a generation
can be cancelled, and ends the process as soon as the session's end of the pipe is closed.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator

from edgeai.backends import llama  # noqa: F401 - wanted most often: imported ahead, with all that it needs
from edgeai.backends.base import (
    Event,
    Finished,
    Piece,
    PrefillProgress,
    Scored,
    ScoreEvent,
    ScoreProgress,
    StateSaved,
)
from edgeai.backends.decoding import DecodingBackend
from edgeai.backends.llama_native import bindings
from edgeai.engine.opening import opener
from edgeai.engine.parent import failures_told, parents_pipe
from edgeai.engine.wire import (
    Cancel,
    Detokenize,
    Ended,
    Generate,
    Load,
    Loaded,
    Loading,
    Pipe,
    Rated,
    Rating,
    RatingEnded,
    Read,
    Reply,
    Request,
    Save,
    Saved,
    Score,
    Take,
    Taken,
    Text,
    Tokenize,
    Tokens,
    Written,
)
from edgeai.errors import EdgeAIError
from edgeai.sandbox import enter

_TOGETHER_S = 0.015  # nobody sees words come 60 times a second or 120 times


def main(parent_pid: int) -> None:
    """Serve until the session closes its end; `parent_pid` is its process."""
    pipe: Pipe[Request] = parents_pipe(parent_pid, Request)
    with contextlib.suppress(EOFError, BrokenPipeError):
        bindings()
        engine = _open(pipe)
        if engine is not None:
            engine.serve()
    os._exit(0)  # nothing is left to be saved, and native libraries would take their time


def _open(pipe: Pipe[Request]) -> _Engine | None:
    """Wait for the first request, close the sandbox and load the model."""
    load = pipe.receive()
    assert isinstance(load, Load)

    def report(share: float) -> None:
        pipe.send(Loading(share))

    with failures_told(pipe):
        open_model = opener(load)
        sandbox = enter(load.policy)
        engine = _Engine(pipe)
        engine.backend = open_model(_Steps(report))
        pipe.send(Loaded(engine.backend.info, sandbox))
        return engine
    return None


class _Steps:
    """Passes progress on in steps of a hundredth: llama.cpp tells of every tensor."""

    def __init__(self, report: Callable[[float], None]) -> None:
        self._report = report
        self._told = -1.0

    def __call__(self, share: float) -> None:
        if share - self._told >= 0.01 or (share >= 1 > self._told):
            self._told = share
            self._report(share)


def _together(events: Iterator[Event] | Iterator[ScoreEvent]) -> Iterator[Event | ScoreEvent]:
    """Pieces that follow each other within moments as one: each wakes the session's process on a core that computes.

    What comes later than that goes at once, so a piece waits for the next token at most, and for a quick one.
    """
    held: Piece | None = None
    sent_s = -math.inf
    try:
        for event in events:
            if isinstance(event, Piece):
                held = Piece((held.text if held else "") + event.text, event.n_tokens)
                if time.monotonic() - sent_s < _TOGETHER_S:
                    continue
                event, held, sent_s = held, None, time.monotonic()
            elif held is not None:
                yield held
                held = None
            yield event
    except EdgeAIError:
        if held is not None:
            yield held
        raise


class _Engine:
    """The loop of requests and replies."""

    backend: DecodingBackend

    def __init__(self, pipe: Pipe[Request]) -> None:
        self._pipe = pipe
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._cancelled = 0
        self._generating = 0
        threading.Thread(target=self._read, name="edgeai-requests", daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                request = self._pipe.receive()
            except (EOFError, OSError, ValueError):
                os._exit(0)
            if isinstance(request, Cancel):
                self._cancelled = request.number
                if self._generating == request.number:
                    self.backend.cancel()
            else:
                self._requests.put(request)

    def serve(self) -> None:
        """Answer requests for ever."""
        while True:
            request = self._requests.get()
            with failures_told(self._pipe):
                if isinstance(request, Tokenize):
                    ids = self.backend.tokenize(
                        request.text.decode("utf-8", "replace"),
                        add_special=request.add_special,
                        parse_special=request.parse_special,
                    )
                    self._pipe.send(Tokens(ids))
                elif isinstance(request, Take):
                    self._pipe.send(Taken(self.backend.media_tokens(request.medium)))
                elif isinstance(request, Detokenize):
                    self._pipe.send(Text(self.backend.detokenize(request.tokens)))
                elif isinstance(request, Generate):
                    self._run(request.number, self.backend.generate(request.request))
                elif isinstance(request, Score):
                    self._run(request.number, self.backend.score(request.request))
                elif isinstance(request, Save):
                    self._pipe.send(Saved(request.name, self.backend.save_state(request.name)))

    def _run(self, number: int, events: Iterator[Event] | Iterator[ScoreEvent]) -> None:
        self._generating = number
        try:
            for event in _together(events):
                if self._cancelled == number:
                    self.backend.cancel()
                self._pipe.send(self._reply(event))
        finally:
            self._generating = 0

    def _reply(self, event: Event | ScoreEvent) -> Reply:
        if isinstance(event, PrefillProgress):
            return Read(event.n_done, event.n_total, event.n_cached)
        if isinstance(event, Piece):
            return Written(event.text, event.n_tokens)
        if isinstance(event, StateSaved):
            return Saved(event.name)
        if isinstance(event, Finished):
            return Ended(event.reason, event.usage, event.timings, event.tokens, self.backend.n_evaluated)
        if isinstance(event, Scored):
            return Rated(event.index, event.log_probs, event.greedy)
        if isinstance(event, ScoreProgress):
            return Rating(event.n_done, event.n_total)
        return RatingEnded(event.cancelled, event.n_prefix, event.n_tokens, event.n_batches, event.n_batch)
