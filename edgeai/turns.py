"""One answer at a time: each in a thread of its own, from a prompt that is known to be good to the end."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from edgeai.backends.base import Backend
from edgeai.errors import EdgeAIError, GenerationError, SessionClosedError
from edgeai.messages import Message
from edgeai.response import Outcome, Response

_CLOSE_TIMEOUT_S = 30

Prepare = Callable[[], tuple[Message, ...]]
"""Makes the prompt, raising what is wrong with it; the messages that were left out."""
Make = Callable[[Response, Outcome], None]
"""Makes the answer, in its thread."""


class Turns:
    """The order in which a backend's answers are made. Calls from several threads are served one after the other."""

    def __init__(self, backend: Backend, load_ms: float) -> None:
        """
        Args:
            backend: closed with this object, or with the interpreter.
            load_ms: what loading it took, for the timings of the answers.
        """
        self._backend = backend
        self._load_ms = load_ms
        self._turn = threading.Lock()  # held from a call until its answer is complete
        self._state = threading.Lock()
        self._active: Response | None = None
        self._closed = False
        self._shut_down = weakref.finalize(self, _shut_down, backend, self._turn)

    def start(self, prepare: Prepare, make: Make) -> Response:
        """Prepare a prompt and let a thread make the answer.

        Raises:
            SessionClosedError: `close` was called.
        """
        started = time.perf_counter()
        claim = threading.Lock()  # Ctrl-C may come when the thread has been started already: one of both takes it
        self._turn.acquire()
        try:
            if self._closed:
                raise SessionClosedError("this session is closed: open a new one")
            dropped = prepare()
            if self._closed:  # `close` does not wait for ever
                raise SessionClosedError("this session was closed meanwhile: open a new one")
            response = Response(self._cancel, dropped)
            arguments = (make, response, started, claim)
            thread = threading.Thread(target=self._run, args=arguments, name="edgeai-answer", daemon=True)
            self._active = response
            thread.start()
        except BaseException:
            if claim.acquire(blocking=False):
                self._active = None
                self._leave()
            else:
                response.cancel()  # nobody will read it
            raise
        return response

    @contextmanager
    def held(self) -> Iterator[None]:
        """The backend is the caller's alone for the block, which makes no answer but asks it something else.

        Raises:
            SessionClosedError: `close` was called before, or meanwhile.
        """
        with self._turn:
            if self._closed:
                raise SessionClosedError("this session is closed: open a new one")
            try:
                yield
            finally:
                if self._closed and not self._shut_down.alive:
                    self._backend.close()  # `close` has given up waiting
        if self._closed:
            raise SessionClosedError("this session was closed meanwhile: open a new one")

    def close(self) -> None:
        """Stop what is being generated and free the backend's memory. May be called twice."""
        with self._state:
            self._closed = True
            if self._active is not None:
                self._active.cancel_requested = True
        self._shut_down()

    def _run(self, make: Make, response: Response, started: float, claim: threading.Lock) -> None:
        if not claim.acquire(blocking=False):
            return
        outcome = Outcome(finish_reason="error")
        prepared_ms = (time.perf_counter() - started) * 1000
        try:
            make(response, outcome)
            ttft_ms = outcome.timings.ttft_ms + prepared_ms
            outcome.timings = replace(outcome.timings, load_ms=self._load_ms, ttft_ms=ttft_ms)
        except EdgeAIError as exc:
            outcome.error = exc
        except Exception as exc:  # noqa: BLE001 - whatever it is, the caller's thread must hear of it
            outcome.error = GenerationError(f"the answer failed: {type(exc).__name__}: {exc}")
            outcome.error.__cause__ = exc
        finally:
            with self._state:
                self._active = None
            self._leave()
            response._finish(outcome)

    def _leave(self) -> None:
        """End a turn; where `close` has given up waiting for it, this is who frees the backend."""
        if self._closed and not self._shut_down.alive:
            self._backend.close()
        self._turn.release()

    def _cancel(self) -> None:
        """Called by the response that is being made; a finished one does not call."""
        with self._state:
            if self._active is not None and self._active.cancel_requested:
                self._backend.cancel()


def _shut_down(backend: Backend, turn: threading.Lock) -> None:
    """Stop a running generation, wait for it, free the model; also at the interpreter's exit."""
    backend.cancel()
    if turn.acquire(timeout=_CLOSE_TIMEOUT_S):
        try:
            backend.close()
        finally:
            turn.release()
