"""The thread that owns the Session: it loads models and makes answers, so that the window always answers keys."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from textual.message import Message as Event

from edgeai import EdgeAIError, GenerationError, ModelNotFoundError
from edgeai.backends.base import PrefillProgress
from tui.asked_pictures import AskedPictures
from tui.chat_pictures import ChatPicture
from tui.documents import holds
from tui.engine_events import (
    DocumentsCounted,
    ModelFailed,
    ModelLoading,
    ModelReady,
    PictureCounted,
    TurnBegun,
    TurnEnded,
    TurnReading,
    WindowChanged,
)
from tui.engine_room import Room, tokens_around
from tui.libraries import library_name
from tui.picture_shelf import PictureShelf
from tui.turn import Question, Result, Turn

if TYPE_CHECKING:
    from edgeai.session import Session
    from edgeai.sources import Source

_CLOSE_TIMEOUT_S, _LOADING_TIMEOUT_S = 10.0, 1.0


class OpenSession(Protocol):
    """Opens a model; `edgeai.Session` is one."""

    def __call__(
        self, model: str | None, *, on_load_progress: Callable[[float], None], **load_options: Any
    ) -> Session: ...


class Engine:
    """Runs what it is asked for, one after the other.

    Args:
        open_session: opens a model.
        post: takes the events, from the engine's thread.
        shelf: reads pictures.
    """

    def __init__(
        self, open_session: OpenSession, post: Callable[[Event], object], shelf: PictureShelf | None = None
    ) -> None:
        self._open_session = open_session
        self._post = post
        self._session: Session | None = None
        self._model: str | None = None
        self._turn: Turn | None = None
        self._room = Room()
        self._pictures = AskedPictures(shelf or PictureShelf())
        self._libraries: tuple[Source, ...] = ()  # what a session is opened with is there for all conversations
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

    def count_picture(self, picture: ChatPicture) -> None:
        """Count the tokens of a picture; questions asked after it wait for that."""
        self._jobs.put(lambda: self._count(picture))

    def close(self) -> None:
        """Stop, store what was made, and free the model."""
        self._closing.set()
        if (turn := self._turn) is not None:
            turn.cancel()
        self._jobs.put(None)
        if self._thread.is_alive():
            # A model that is just being loaded has nothing to store, and nobody waits for it.
            self._thread.join(_CLOSE_TIMEOUT_S if turn is not None else _LOADING_TIMEOUT_S)

    @property
    def pid(self) -> int | None:
        """The process that computes; None while no model is loaded."""
        return None if (session := self._session) is None else session.engine_pid

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
            session = self._open(model)
        except EdgeAIError as exc:
            self._post(ModelFailed(model, exc, self._reopen(before)))
            return
        libraries = list(map(library_name, self._libraries))
        self._post(ModelReady(session.model_name, session.n_ctx, session.load_ms, libraries))

    def _open(self, model: str | None, **options: Any) -> Session:
        shown = -1.0

        def on_load_progress(share: float) -> None:
            nonlocal shown
            if share - shown >= 0.01:
                shown = share
                self._post(ModelLoading(model, share))

        on_load_progress(0.0)
        try:
            session = self._open_session(model, on_load_progress=on_load_progress, **options)
        except EdgeAIError:
            raise
        except Exception as exc:  # the window must go on, whatever a native library raises
            raise GenerationError(f"the model could not be loaded: {type(exc).__name__}: {exc}") from exc
        self._session, self._model = session, model or session.model_name
        self._libraries = session.documents
        return session

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

        session, n_tokens = self._make_room(self._session, question)
        if question.prepares and (self._libraries or not holds(session.n_ctx, n_tokens)):
            result.finish_reason = "too long"
            return

        def on_progress(progress: PrefillProgress) -> None:
            if question.only_if_cached and progress.n_cached < n_tokens:
                turn.cancel()
            self._post(TurnReading(turn, progress.n_done, progress.n_total, progress.n_cached))

        messages, preface = self._pictures.put(session, question.messages, question.pictures, is_new=question.is_new)
        response = session.chat(
            messages=messages, overflow=question.overflow, on_progress=on_progress, **question.sampling
        )
        try:
            question.begin(session.model_name)
        except BaseException:
            response.cancel()
            response.wait()
            raise
        turn.begun = True
        result.dropped = len(response.dropped)
        self._post(TurnBegun(turn))
        try:
            turn.run(response, preface)
            result.finish_reason = response.finish_reason
            result.usage, result.timings = response.usage, response.timings
            result.citations = [citation.behind(preface) for citation in response.citations]
            if not self._libraries:
                n_tokens += sum(self._pictures.count(session, medium) for item in messages for medium in item.media)
                result.n_around = tokens_around(session, n_tokens, messages, response)
        finally:
            result.text = preface + response.partial_text

    def _make_room(self, session: Session, question: Question) -> tuple[Session, int]:
        """A session with the documents, in a window for them unless libraries are searched; and their tokens."""
        documents = tuple(question.documents)
        counts = self._room.count(session, documents)
        n_tokens = sum(counts.values())
        if documents:
            self._post(DocumentsCounted(counts))
        n_ctx = self._room.wanted(session, n_tokens, question.messages) if documents and not self._libraries else None
        if n_ctx is not None:
            session = self._grow(session, n_ctx)
        session.documents = (*documents, *self._libraries)
        return session, n_tokens

    def _grow(self, session: Session, n_ctx: int) -> Session:
        """The same model with a larger window; where that cannot be, as it was.

        Raises:
            EdgeAIError: it cannot be opened any more.
        """
        model, problem = self._model, None
        name = session.model_name
        session.close()
        self._session = None
        try:
            self._open(model, n_ctx=n_ctx)
        except EdgeAIError as exc:
            problem = exc
            if self._reopen(model) is None:
                self._post(ModelFailed(model, exc))
                raise
        opened: Session | None = self._session
        assert opened is not None
        self._room.opened(name, n_ctx, opened.n_ctx)
        self._post(WindowChanged(opened.n_ctx, problem))
        return opened

    def _count(self, picture: ChatPicture) -> None:
        if self._session is None or picture.ref is None:
            return  # it is counted when a model is there
        problem: EdgeAIError | None = None
        try:
            picture.counted(self._pictures.read_and_count(self._session, picture.ref))
        except EdgeAIError as exc:
            problem = exc
        except Exception as exc:  # noqa: BLE001 - the window must go on
            problem = GenerationError(f"{picture.name}: its tokens cannot be counted: {type(exc).__name__}: {exc}")
        self._post(PictureCounted(picture, problem))

    def _store(self, turn: Turn, result: Result) -> None:
        try:
            turn.question.finish(result)
        except EdgeAIError as exc:
            result.error = result.error or exc
