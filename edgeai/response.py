"""Response: an answer while it is made, and all that is known of it afterwards."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeai.documents.types import Citation
from edgeai.messages import Message, ToolCall

FinishReason = Literal["stop", "length", "context_full", "cancelled", "tool_calls", "error"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of tokens.

    Attributes:
        prompt_tokens: tokens of the whole prompt.
        cached_tokens: those of them that had been evaluated before and were reused.
        completion_tokens: tokens generated.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Wall-clock times.

    Attributes:
        load_ms: loading the model (of the session, not of this answer).
        prefill_ms: evaluating the prompt's new tokens.
        ttft_ms: from the call to the first token.
        decode_ms: from the first token to the last.
        prefill_tokens_per_s: new prompt tokens a second.
        decode_tokens_per_s: generated tokens a second after the first.
    """

    load_ms: float = 0.0
    prefill_ms: float = 0.0
    ttft_ms: float = 0.0
    decode_ms: float = 0.0
    prefill_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0


@dataclass(slots=True)
class Outcome:
    """All that is known of an answer at its end."""

    text: str = ""
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    finish_reason: FinishReason | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: Any = None
    citations: tuple[Citation, ...] = ()
    error: BaseException | None = None


class Response:
    """An answer. Iterate it for pieces of text (whole characters) as they are made; read the rest when you like.

    `text`, `usage`, `timings`, `finish_reason`, `tool_calls`, `parsed` and `citations` wait for the end. An error of
    the engine is raised by whichever of them, or the iteration, meets it first; the text made so far stays in
    `partial_text`.

    Attributes:
        dropped: the oldest messages that were left out because overflow="trim" was chosen; empty otherwise.
        cancel_requested: `cancel` was called.
    """

    def __init__(self, cancel: Callable[[], None], dropped: tuple[Message, ...] = ()) -> None:
        self.dropped = dropped
        self.cancel_requested = False
        self._cancel = cancel
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._received: list[str] = []
        self._n_tokens = 0
        self._outcome = Outcome()
        self._done = threading.Event()

    def __iter__(self) -> Iterator[str]:
        """Pieces of text as they are made. A second iteration, and one in a second thread, goes on with what is left.

        Raises:
            GenerationError: the engine failed.
        """
        while (piece := self._pieces.get()) is not None:
            yield piece
        self._pieces.put(None)  # for whoever else iterates
        self._raise()

    def cancel(self) -> None:
        """Stop making this answer, from any thread; what was made stays. Does nothing when it is finished."""
        if not self._done.is_set():
            self.cancel_requested = True
            self._cancel()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end without raising; True when it is reached."""
        return self._done.wait(timeout_s)

    @property
    def done(self) -> bool:
        """Whether the answer is finished."""
        return self._done.is_set()

    @property
    def partial_text(self) -> str:
        """The text made so far; never waits."""
        return "".join(self._received)

    @property
    def n_tokens(self) -> int:
        """Tokens generated so far; never waits."""
        return self._n_tokens

    @property
    def text(self) -> str:
        """The whole answer."""
        return self._wait_and_raise().text

    @property
    def usage(self) -> Usage:
        """Counts of tokens."""
        return self._wait_and_raise().usage

    @property
    def timings(self) -> Timings:
        """Wall-clock times."""
        return self._wait_and_raise().timings

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended: "stop", "length" (max_tokens), "context_full" (n_ctx), "cancelled" or "tool_calls"."""
        reason = self._wait_and_raise().finish_reason
        assert reason is not None
        return reason

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the model asked for."""
        return self._wait_and_raise().tool_calls

    @property
    def parsed(self) -> Any:
        """With response_format: the parsed JSON, or the pydantic object. None where the answer was cut short."""
        return self._wait_and_raise().parsed

    @property
    def citations(self) -> tuple[Citation, ...]:
        """With documents: where the statements of the answer stand, in its order."""
        return self._wait_and_raise().citations

    def _wait_and_raise(self) -> Outcome:
        self._done.wait()
        self._raise()
        return self._outcome

    def _raise(self) -> None:
        if self._outcome.error is not None:
            raise self._outcome.error

    # --- for the thread that makes the answer ---

    def _push(self, text: str, n_tokens: int) -> None:
        self._n_tokens = n_tokens
        if text:
            self._received.append(text)
            self._pieces.put(text)

    def _finish(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._done.set()
        self._pieces.put(None)
