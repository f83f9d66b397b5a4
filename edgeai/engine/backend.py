"""ProcessBackend: the Backend protocol over an engine process, whose crash or hang becomes an error."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from edgeai.backends.base import Event, GenerateRequest, ModelInfo, ScoreEvent, ScoreRequest
from edgeai.engine.link import EngineLink
from edgeai.engine.process import EngineProcess
from edgeai.engine.run import Run
from edgeai.engine.score_run import ScoreRun
from edgeai.engine.watchdog import Pace
from edgeai.engine.wire import (
    Detokenize,
    Ended,
    Failed,
    Load,
    Loaded,
    Loading,
    RatingEnded,
    Reply,
    Request,
    Save,
    Saved,
    Take,
    Taken,
    Text,
    Tokenize,
    Tokens,
    check_info,
    error_of,
)
from edgeai.errors import EngineCrashedError, GenerationError, SessionClosedError
from edgeai.media import Medium
from edgeai.sandbox import Report

_LOADING = "loading the model"
_TAKING = "taking a sound in"
_SAVING = "keeping the state of the conversation"
_MAX_LOADING = 1000  # messages; an engine sends one for each hundredth

_Reply = TypeVar("_Reply")
_Run = Run | ScoreRun


class ProcessBackend:
    """One loaded model in a process of its own; see `edgeai.backends.base.Backend`.

    A call that finds the process dead (it crashed, hung, or was killed) starts a new one, in which the same model is
    loaded again; the prompt is evaluated afresh there.

    Attributes:
        sandbox: what bounds the process.
    """

    def __init__(
        self,
        process: EngineProcess,
        load: Load,
        *,
        size_bytes: int,
        watchdog_s: float | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load a model in a process that was just started; it is closed where that fails.

        Args:
            process: the process.
            load: the model, its options and its sandbox.
            size_bytes: of the model's files.
            watchdog_s: seconds without progress after which the process is ended; None follows the measured speed.
            on_progress: told the share that is loaded, 0..1.

        Raises:
            ModelFormatError: llama.cpp refuses the file.
            ModelTooLargeError: the KV cache or the buffers cannot be allocated.
            EngineCrashedError: the process crashed or hung while it loaded the model.
        """
        self._load = load
        self._loaded = _signatures(load)
        self._link = EngineLink(process, Pace(size_bytes, watchdog_s))
        self._lock = threading.Lock()  # one request at a time
        self._number = 0  # of the last generation
        self._generating = 0  # the number of the one that runs
        self._generator = 0  # its thread
        self._cancelled = 0
        self._closed = False
        self._n_evaluated = 0
        self._taken: set[str] = set()  # media that the process has
        try:
            self._info, self.sandbox = self._open(on_progress)
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return self._info

    @property
    def pid(self) -> int:
        """The number of the engine's process."""
        return self._link.process.pid

    @property
    def n_evaluated(self) -> int:
        """Tokens that stand in the KV cache."""
        return self._n_evaluated if self._link.process.is_alive else 0

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        """Token ids of a text; see Backend."""
        request = Tokenize(text.encode("utf-8", "replace"), add_special, parse_special)
        return list(self._ask(request, Tokens, "tokenizing a text").ids)

    def media_tokens(self, medium: Medium) -> list[int]:
        """What stands for a medium in a prompt; see Backend."""
        taken = self._ask(Take(medium), Taken, _TAKING)
        self._taken.add(medium.sha256)
        return list(taken.ids)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        return self._ask(Detokenize(list(tokens)), Text, "writing tokens out as text").text if tokens else ""

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        """Continue a prompt; see Backend."""
        run = Run(request, self._link.pace)
        yield from self._events(run)
        assert run.finished is not None
        yield run.finished  # only now: whoever gets it may ask for something else at once

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """Score continuations; see ScoringBackend."""
        run = ScoreRun(request, self._link.pace, self.n_evaluated)
        yield from self._events(run)
        assert run.finished is not None
        yield run.finished

    def _events(self, run: _Run) -> Iterator[Any]:
        """All events but the last."""
        with self._lock:
            self._ensure()
            self._take(run.media)
            try:
                with self._link.watched():
                    self._begin(run)
                    while not run.ended:
                        if (event := self._next(run)) is not None:
                            yield event
            finally:
                self._generating = self._generator = 0
                if not run.ended:  # given up half-way, or failed: the pipe must be empty for the next request
                    self._drain(run)

    def _take(self, media: Sequence[Medium]) -> None:
        """Have the process take in what it does not have; it forgets all others."""
        for medium in media:
            if medium.sha256 not in self._taken:
                self._expected(self._reply(Take(medium), _TAKING), Taken, _TAKING)
        self._taken = {medium.sha256 for medium in media}

    def _begin(self, run: _Run) -> None:
        self._generator = threading.get_ident()
        self._number += 1
        self._generating = self._number
        self._link.send(run.message(self._number), run.doing)
        if self._cancelled == self._number:
            self._link.cancel(self._number)

    def _next(self, run: _Run) -> Event | ScoreEvent | None:
        try:
            reply = self._link.receive(run.limit_s, run.doing)
        except EngineCrashedError:
            run.ended = True
            if self._cancelled != self._number:
                raise
            run.cancelled()
            return None
        if isinstance(reply, Failed):
            run.ended = True
            raise error_of(reply)
        try:
            event = run.event(reply, self._info)
        except ValueError as exc:
            raise self._link.distrusted(str(exc), run.doing) from exc
        self._n_evaluated = run.n_evaluated
        return event

    def _drain(self, run: _Run) -> None:
        """Cancel a generation whose caller went away, and throw its events away."""
        if not self._link.process.is_alive or self._closed:
            return
        self._cancelled = self._number
        with contextlib.suppress(EngineCrashedError), self._link.watched():  # the next request finds it dead
            self._link.hurry()
            self._link.cancel(self._number)
            while not isinstance(self._link.receive(self._link.pace.polite_s, run.doing), (Ended, RatingEnded, Failed)):
                pass

    def save_state(self, name: str) -> int:
        """Write the state of all that stands in the KV cache; the tokens that the file holds, 0 for no file."""
        if not self._n_evaluated or not self._link.process.is_alive:
            return 0
        reply = self._ask(Save(name), Saved, _SAVING)
        if reply.name != name or reply.n_tokens > self._info.n_ctx:
            raise self._link.distrusted(f"a state {reply.name[:40]!r} of {reply.n_tokens:,} tokens", _SAVING)
        return reply.n_tokens

    def cancel(self) -> None:
        """End the generation that is running; see Backend. Where it does not end at once, its process does."""
        number = self._generating
        if number and self._cancelled != number:
            self._cancelled = number
            self._link.hurry()
            self._link.cancel(number)

    def close(self) -> None:
        """End the process. May be called twice."""
        self._closed = True
        self._link.close()

    # --- the process ---

    def _ensure(self) -> None:
        """Start and load anew where the process is dead."""
        if self._closed:
            raise SessionClosedError("the model is closed: open a new session")
        if self._link.process.is_alive:
            return
        if not self._link.process.is_ours:
            raise GenerationError("this session was opened before a fork, in another process: open a new one here")
        if _signatures(self._load) != self._loaded:
            raise GenerationError(f"{self._load.path} has changed since it was loaded: open a new session")
        self._n_evaluated = 0
        self._taken.clear()
        self._link.restart()
        self._info, self.sandbox = self._open(None)

    def _open(self, on_progress: Callable[[float], None] | None) -> tuple[ModelInfo, Report]:
        link = self._link
        try:
            with link.watched():
                link.send(self._load, _LOADING)
                for _ in range(_MAX_LOADING):
                    reply = link.receive(link.pace.limit_s("load"), _LOADING)
                    if not isinstance(reply, Loading):
                        return self._opened(reply)
                    if on_progress is not None:
                        on_progress(reply.share)
            raise link.distrusted(f"{_MAX_LOADING:,} messages about loading", _LOADING)
        except BaseException:
            link.process.close()
            raise

    def _opened(self, reply: Reply) -> tuple[ModelInfo, Report]:
        if isinstance(reply, Failed):
            raise error_of(reply)
        if not isinstance(reply, Loaded):
            raise self._link.distrusted(f"{type(reply).__name__} came before the model was loaded", _LOADING)
        try:
            check_info(reply.info)
        except ValueError as exc:
            raise self._link.distrusted(str(exc), _LOADING) from exc
        return replace(reply.info, path=self._load.path), reply.sandbox

    def _ask(self, request: Request, kind: type[_Reply], doing: str) -> _Reply:
        """Send a request and wait for its one reply; once more where the process had died before, unnoticed."""
        if self._generator == threading.get_ident():
            raise GenerationError("the engine is making an answer: it cannot be asked from within a progress callback")
        with self._lock:
            self._ensure()
            try:
                reply = self._reply(request, doing)
            except EngineCrashedError as exc:
                if exc.hung_s is not None or self._closed:
                    raise
                self._ensure()
                reply = self._reply(request, doing)
        return self._expected(reply, kind, doing)

    def _expected(self, reply: Reply, kind: type[_Reply], doing: str) -> _Reply:
        if isinstance(reply, Failed):
            raise error_of(reply)
        if not isinstance(reply, kind):
            raise self._link.distrusted(f"{type(reply).__name__} came instead of {kind.__name__}", doing)
        return reply

    def _reply(self, request: Request, doing: str) -> Reply:
        with self._link.watched():
            self._link.send(request, doing)
            return self._link.receive(self._link.pace.limit_s("text"), doing)


def _signatures(load: Load) -> list[tuple[int, ...]]:
    """Tells whether the files are still those whose headers were checked."""
    return [_signature(path) for path in (load.path, load.options.mmproj_path) if path]


def _signature(path: str) -> tuple[int, ...]:
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
