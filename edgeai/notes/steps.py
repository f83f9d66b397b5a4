"""One answer of the model, kept as soon as it is there; and the same without a model, to say what there is to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeai.backends.base import PrefillProgress
from edgeai.errors import ContextOverflowError, EngineCrashedError
from edgeai.messages import Message
from edgeai.notes.journal import Journal
from edgeai.notes.meter import Budget, Meter
from edgeai.notes.prompts import SYSTEM
from edgeai.notes.tidy import loop_start, tidy

if TYPE_CHECKING:
    from edgeai.response import Response
    from edgeai.session import Session

TEMPLATE_TOKENS = 80
"""Kept free for what a chat template puts around two messages."""
_LOOK_EVERY = 100  # characters
_TAIL = 1300
_PLACEHOLDER_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Step:
    """What one answer is made from.

    Attributes:
        what: it is about; for people who wait.
        prompt: the user's message.
        max_tokens: of the answer.
        instead: stands there when the model says nothing.
    """

    what: str
    prompt: str
    max_tokens: int
    instead: str

    @property
    def key(self) -> str:
        """Names its text in the journal: another prompt has another one."""
        return hashlib.sha256(json.dumps([SYSTEM, self.prompt, self.max_tokens]).encode()).hexdigest()[:32]


Ask = Callable[[Step], str]
"""Gives the text of a step; raises ContextOverflowError where its prompt does not fit."""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a job is.

    Attributes:
        number: of the step that is being done, from 1; `n_steps` of them.
        what: it is about; hostile text.
        doing: "reading" or "writing".
        share: of this step's reading that is done.
        seconds_left: of the whole job, about; None where it is not known.
    """

    number: int
    n_steps: int
    what: str
    doing: str
    share: float
    seconds_left: float | None


def _fitting(session: Session, step: Step) -> int:
    """The tokens of a step's prompt.

    Raises:
        ContextOverflowError: with them, the window has no room for the answer.
    """
    n_read = session.count_tokens(step.prompt) + session.count_tokens(SYSTEM) + TEMPLATE_TOKENS
    if n_read + step.max_tokens > session.n_ctx:
        raise ContextOverflowError(n_read, session.n_ctx)
    return n_read


class Planner:
    """Takes steps and does none of them.

    Attributes:
        budget: what they come to.
    """

    def __init__(self, session: Session, journal: Journal | None) -> None:
        """`journal`: what is kept there is done and costs nothing."""
        self.budget = Budget()
        self._session = session
        self._journal = journal
        self._word_tokens = max(1.0, session.count_tokens("word " * 20) / 20)

    def __call__(self, step: Step) -> str:
        budget = self.budget
        kept = self._journal.get(step.key) if self._journal else None
        if kept is None:
            budget.n_read += _fitting(self._session, step)
            budget.n_written += step.max_tokens
            kept = "word " * max(1, int(step.max_tokens * _PLACEHOLDER_SHARE / self._word_tokens))
        else:
            budget.n_done += 1
        budget.n_steps += 1
        return kept


class Worker:
    """Does steps, one after the other, and keeps each."""

    def __init__(
        self,
        session: Session,
        journal: Journal,
        budget: Budget,
        meter: Meter,
        sampling: Mapping[str, Any],
        on_progress: Callable[[StepProgress], None] = lambda _progress: None,
    ) -> None:
        """
        Args:
            session: whose model does them; its own conversation is left alone.
            journal: keeps them.
            budget: what there is to do.
            meter: learns from each.
            sampling: how tokens are chosen.
            on_progress: told how far it is, from other threads too.
        """
        self._session, self._journal, self._meter = session, journal, meter
        self._sampling = dict(sampling)
        self._on_progress = on_progress
        self._n_steps, self._number = budget.n_steps, 0
        self._n_read, self._n_written = float(budget.n_read), float(budget.n_written)

    def __call__(self, step: Step) -> str:
        kept = self._journal.get(step.key)
        if kept is None:
            _fitting(self._session, step)
        self._number += 1
        self._n_steps = max(self._n_steps, self._number)  # an outline may have more sections than was planned
        if kept is None:
            kept = self._answer(step, {}) or self._answer(step, {"temperature": 0.7, "seed": 1}) or step.instead
            self._journal.put(step.key, kept)
        return kept

    def _answer(self, step: Step, sampling: Mapping[str, Any]) -> str:
        try:
            response = self._generated(step, sampling)
        except EngineCrashedError:  # the next question starts a new engine; a second crash is told
            response = self._generated(step, sampling)
        self._meter.add(response.usage, response.timings, step.max_tokens)
        self._n_read = max(0.0, self._n_read - response.usage.prompt_tokens)
        self._n_written = max(0.0, self._n_written - step.max_tokens)
        return tidy(response.text, is_whole=response.finish_reason == "stop")

    def _generated(self, step: Step, sampling: Mapping[str, Any]) -> Response:
        """The answer; one that goes round in circles is ended."""
        response = self._session.chat(
            messages=[Message("system", SYSTEM), Message("user", step.prompt)],
            on_progress=lambda progress: self._tell_reading(step, progress),
            **{**self._sampling, **sampling, "max_tokens": step.max_tokens},
        )
        n_looked = 0
        try:
            for _piece in response:
                self._tell(step, "writing", 1.0, 0, response.n_tokens)
                text = response.partial_text
                if len(text) - n_looked >= _LOOK_EVERY:
                    n_looked = len(text)
                    if loop_start(text[-_TAIL:]) is not None:
                        response.cancel()
        except BaseException:
            response.cancel()
            response.wait()
            raise
        return response

    def _tell_reading(self, step: Step, progress: PrefillProgress) -> None:
        self._tell(step, "reading", progress.n_done / max(1, progress.n_total), progress.n_done, 0)

    def _tell(self, step: Step, doing: str, share: float, n_read: int, n_written: int) -> None:
        left = self._meter.seconds(max(0.0, self._n_read - n_read), max(0.0, self._n_written - n_written))
        self._on_progress(StepProgress(self._number, self._n_steps, step.what, doing, share, left))
