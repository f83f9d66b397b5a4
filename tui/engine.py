"""The thread that owns the Session: it loads models and makes answers, so that the window always answers keys."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from textual.message import Message as Event

from edgeai import EdgeAIError, GenerationError, Message, ModelNotFoundError, Response, Timings, Usage
from edgeai.backends.base import PrefillProgress
from edgeai.options import Overflow

if TYPE_CHECKING:
    from edgeai.session import Session

_CLOSE_TIMEOUT_S = 10.0
_LOADING_TIMEOUT_S = 1.0
_SAVE_S = 2.0


class OpenSession(Protocol):
    """Opens a model; `edgeai.Session` is one."""

    def __call__(self, model: str | None, *, on_load_progress: Callable[[float], None]) -> Session: ...


@dataclass(slots=True)
class Result:
    """How a turn ended.

    Attributes:
        text: the answer, or the part of it that was made.
        finish_reason: as `Response.finish_reason`.
        dropped: how many of the oldest messages were left out.
        error: what went wrong, if anything did.
    """

    text: str = ""
    finish_reason: str = "error"
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    dropped: int = 0
    error: EdgeAIError | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `begin`, `save` and `finish` store the turn; they are called in the engine's thread.

    Attributes:
        messages: the whole conversation, the question at its end.
        sampling: keywords for `Session.chat`.
        overflow: what to do when it does not fit.
        begin: called with the model's name when the prompt is known to fit, before any of the answer is shown.
        save: called with the answer so far, every few seconds.
        finish: called before the turn is shown as finished.
    """

    messages: Sequence[Message]
    begin: Callable[[str], None]
    save: Callable[[str], None]
    finish: Callable[[Result], None]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    overflow: Overflow = "error"


class Turn:
    """A question and its answer, seen from both threads."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.begun = False
        self._response: Response | None = None
        self._cancelled = threading.Event()
        self._pieces: deque[str] = deque()

    @property
    def n_tokens(self) -> int:
        """Tokens made so far."""
        return self._response.n_tokens if self._response is not None else 0

    @property
    def cancelled(self) -> bool:
        """Whether it was to be stopped."""
        return self._cancelled.is_set()

    def take(self) -> str:
        """The text that was made since the last call."""
        pieces = []
        while self._pieces:
            pieces.append(self._pieces.popleft())
        return "".join(pieces)

    def cancel(self) -> None:
        """Stop it, whether it waits, reads or writes."""
        self._cancelled.set()
        if self._response is not None:
            self._response.cancel()

    def run(self, response: Response) -> None:
        """Collect the answer; for the engine's thread."""
        self._response = response
        if self._cancelled.is_set():
            response.cancel()
        saved = time.monotonic()
        for piece in response:
            self._pieces.append(piece)
            if time.monotonic() - saved > _SAVE_S:
                self.question.save(response.partial_text)
                saved = time.monotonic()


@dataclass
class ModelLoading(Event):
    """A model is being loaded; `share` of it is (0..1)."""

    model: str | None
    share: float


@dataclass
class ModelReady(Event):
    """The model can answer."""

    model: str
    n_ctx: int
    load_ms: float


@dataclass
class ModelFailed(Event):
    """The model could not be loaded; `fallback` is the one that goes on answering, if there is one."""

    model: str | None
    error: EdgeAIError
    fallback: str | None = None


@dataclass
class TurnReading(Event):
    """The prompt of a turn is being evaluated."""

    turn: Turn
    n_done: int
    n_total: int


@dataclass
class TurnBegun(Event):
    """The turn is stored and its answer starts."""

    turn: Turn


@dataclass
class TurnEnded(Event):
    """The turn is over, and stored unless `result.error` says otherwise."""

    turn: Turn
    result: Result


class Engine:
    """Runs what it is asked for, one after the other.

    Args:
        open_session: opens a model.
        post: takes the events, from the engine's thread.
    """

    def __init__(self, open_session: OpenSession, post: Callable[[Event], object]) -> None:
        self._open_session = open_session
        self._post = post
        self._session: Session | None = None
        self._model: str | None = None
        self._turn: Turn | None = None
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgeai-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def load(self, model: str | None) -> None:
        """Load a model in place of the present one; questions asked meanwhile wait for it."""
        self._jobs.put(lambda: self._load(model))

    def ask(self, question: Question) -> Turn:
        """Ask; events tell of the answer."""
        turn = Turn(question)
        self._jobs.put(lambda: self._answer(turn))
        return turn

    def close(self) -> None:
        """Stop, store what was made, and free the model."""
        self._closing.set()
        if (turn := self._turn) is not None:
            turn.cancel()
        self._jobs.put(None)
        if self._thread.is_alive():
            # A model that is just being loaded has nothing to store, and nobody waits for it.
            self._thread.join(_CLOSE_TIMEOUT_S if turn is not None else _LOADING_TIMEOUT_S)

    # --- in the engine's thread ---

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._closing.is_set():
                job()
        if self._session is not None:
            self._session.close()

    def _load(self, model: str | None) -> None:
        before = self._model
        if self._session is not None:  # two models at once might not fit
            self._session.close()
            self._session = None
        try:
            self._open(model)
        except EdgeAIError as exc:
            self._post(ModelFailed(model, exc, self._reopen(before)))
            return
        session = self._session
        assert session is not None
        self._post(ModelReady(session.model_name, session.n_ctx, session.load_ms))

    def _open(self, model: str | None) -> None:
        shown = -1.0

        def on_load_progress(share: float) -> None:
            nonlocal shown
            if share - shown >= 0.01:
                shown = share
                self._post(ModelLoading(model, share))

        on_load_progress(0.0)
        try:
            self._session = self._open_session(model, on_load_progress=on_load_progress)
        except EdgeAIError:
            raise
        except Exception as exc:  # the window must go on, whatever a native library raises
            raise GenerationError(f"the model could not be loaded: {type(exc).__name__}: {exc}") from exc
        self._model = model or self._session.model_name

    def _reopen(self, model: str | None) -> str | None:
        """The model that was there before, again; its weights are still in the file cache."""
        if model is None:
            return None
        try:
            self._open(model)
        except EdgeAIError:
            self._model = None
        return self._model

    def _answer(self, turn: Turn) -> None:
        self._turn = turn
        if self._closing.is_set():  # close() may have looked just before
            turn.cancel()
        result = Result()
        try:
            self._make(turn, result)
        except EdgeAIError as exc:
            result.error = exc
        except Exception as exc:  # noqa: BLE001 - the window must go on, and the typed text must come back
            result.error = GenerationError(f"the answer failed: {type(exc).__name__}: {exc}")
        finally:
            self._turn = None
        if turn.begun:
            self._store(turn, result)
        self._post(TurnEnded(turn, result))

    def _make(self, turn: Turn, result: Result) -> None:
        question = turn.question
        if turn.cancelled:
            result.finish_reason = "cancelled"
            return
        if self._session is None:
            raise ModelNotFoundError("no model is loaded: choose one with Ctrl+O, or run: edgeai models pull NAME")

        def on_progress(progress: PrefillProgress) -> None:
            self._post(TurnReading(turn, progress.n_done, progress.n_total))

        response = self._session.chat(
            messages=question.messages, overflow=question.overflow, on_progress=on_progress, **question.sampling
        )
        try:
            question.begin(self._session.model_name)
        except BaseException:
            response.cancel()
            response.wait()
            raise
        turn.begun = True
        result.dropped = len(response.dropped)
        self._post(TurnBegun(turn))
        try:
            turn.run(response)
            result.finish_reason = response.finish_reason
            result.usage, result.timings = response.usage, response.timings
        finally:
            result.text = response.partial_text

    def _store(self, turn: Turn, result: Result) -> None:
        try:
            turn.question.finish(result)
        except EdgeAIError as exc:
            result.error = result.error or exc
