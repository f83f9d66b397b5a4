"""The turn that is being made: its two blocks on the screen, and what the status line says of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgeai.history_types import StoredMessage
from tui.chat import ending_note
from tui.chat_documents import ChatDocument
from tui.chat_pictures import ChatPicture
from tui.pace import Pace
from tui.turn import Result, Turn
from tui.turn_store import TurnStore
from tui.widgets.block import Block

FLUSH_S = 1 / 25
_SHARE_OF_TIME = 4
"""A flush that takes long makes the next one wait this many times as long, so that keys are still answered."""

Stage = Literal["waiting", "reading", "writing"]


@dataclass(slots=True)
class LiveTurn:
    """One turn from Enter to its end.

    Attributes:
        turn: the engine's side of it.
        store: where it goes.
        path: the conversation above it.
        content: the user's message as it is stored; empty where an answer is made again.
        typed: what goes back into the prompt when the turn cannot begin.
        question: the user's block, or None where an answer is made again.
        answer: the block that grows.
        editing: the message whose place the question takes.
        documents: what the question is about.
        pictures: that go with it.
        n_read: tokens of the prompt that are evaluated.
    """

    turn: Turn
    store: TurnStore
    path: Sequence[StoredMessage]
    content: str
    typed: str
    question: Block | None
    answer: Block
    editing: StoredMessage | None = None
    documents: Sequence[ChatDocument] = ()
    pictures: Sequence[ChatPicture] = ()
    stage: Stage = "waiting"
    n_read: int = 0
    _pace: Pace = field(default_factory=Pace)
    _started: float = 0.0
    _next_flush: float = field(default=0.0)

    @property
    def blocks(self) -> list[Block]:
        """What it shows."""
        return [self.answer] if self.question is None else [self.question, self.answer]

    @property
    def context_used(self) -> int:
        """Tokens in the context window."""
        return self.n_read + self.turn.n_tokens

    @property
    def activity(self) -> str:
        """What it is doing, for the status line."""
        if self.turn.cancelled:
            return "stopping"
        if self.stage == "writing":
            return f"writing {self._speed():.0f} tok/s" if self._speed() else "writing"
        if self.stage == "reading":
            return f"reading prompt {self._pace.words}"
        return "waiting for the model"

    def read(self, n_done: int, n_total: int) -> None:
        """So much of the prompt is evaluated."""
        self.stage, self.n_read = "reading", n_done
        self._pace.tell(n_done, n_total)

    def flush(self) -> bool:
        """Take over what was made since the last time; False where there is nothing, or it is too early."""
        now = time.monotonic()
        if now < self._next_flush or not (text := self.turn.take()):
            return False
        if self.stage != "writing":
            self.stage, self._started = "writing", now
        self.answer.append(text)
        return True

    def flushed(self, cost_s: float) -> None:
        """Showing it took so long."""
        self._next_flush = time.monotonic() + _SHARE_OF_TIME * cost_s

    def _speed(self) -> float:
        elapsed = time.monotonic() - self._started
        return (self.turn.n_tokens - 1) / elapsed if elapsed > 0.2 else 0.0


def note_of(result: Result) -> str:
    """What stands beside the title of a finished answer."""
    return ending_note(result.finish_reason, result.timings.decode_tokens_per_s, result.dropped)
