"""A question and its answer, seen from both threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgeai import EdgeAIError, Message, Response, Timings, Usage
from edgeai.documents.types import Citation, Document
from edgeai.options import Overflow
from tui.asked_pictures import Shown

_SAVE_S = 2.0


@dataclass(slots=True)
class Result:
    """How a turn ended.

    Attributes:
        text: the answer, or the part of it that was made.
        finish_reason: as `Response.finish_reason`.
        dropped: how many of the oldest messages were left out.
        citations: where its statements stand.
        n_around: tokens of its prompt that are neither documents nor messages; None where it held no whole documents.
        error: what went wrong, if anything did.
    """

    text: str = ""
    finish_reason: str = "error"
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    dropped: int = 0
    citations: Sequence[Citation] = ()
    n_around: int | None = None
    error: EdgeAIError | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `begin`, `save` and `finish` store the turn; they are called in the engine's thread.

    Attributes:
        messages: the whole conversation, the question at its end.
        sampling: keywords for `Session.chat`.
        overflow: what to do when it does not fit.
        documents: what it is about.
        pictures: of messages, by their index.
        is_new: its last message was never asked before.
        prepares: only the documents before it count: where they do not fit the window, nothing is asked.
        only_if_cached: ask only where the documents have been evaluated before; else evaluate nothing.
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
    documents: Sequence[Document] = ()
    pictures: Shown = field(default_factory=dict)
    is_new: bool = True
    prepares: bool = False
    only_if_cached: bool = False


def preparation(documents: Sequence[Document], system: str | None, *, only_if_cached: bool) -> Question:
    """A question whose answer nobody reads: the documents before it are evaluated, and a real one need not wait."""
    messages = [Message("system", system)] if system else []
    return Question(
        [*messages, Message("user", "?")],
        begin=lambda _model: None,
        save=lambda _text: None,
        finish=lambda _result: None,
        sampling={"max_tokens": 1, "temperature": 0.0},
        documents=tuple(documents),
        prepares=True,
        only_if_cached=only_if_cached,
    )


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

    def run(self, response: Response, preface: str = "") -> None:
        """Collect the answer, which begins with a preface; for the engine's thread."""
        self._response = response
        self._pieces.append(preface)
        if self._cancelled.is_set():
            response.cancel()
        saved = time.monotonic()
        for piece in response:
            self._pieces.append(piece)
            if time.monotonic() - saved > _SAVE_S:
                self.question.save(preface + response.partial_text)
                saved = time.monotonic()
