"""A session's model as something that tells how likely texts are, in turn with its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from edgeai.backends.base import (
    Backend,
    ModelInfo,
    Scored,
    ScoreFinished,
    ScoreItem,
    ScoreRequest,
    ScoringBackend,
)
from edgeai.context_window import rendered
from edgeai.errors import GenerationError, UnsupportedModalityError
from edgeai.messages import Message
from edgeai.prompt import ChatTemplate
from edgeai.transcript import Transcript
from edgeai.turns import Turns


@dataclass(slots=True)
class Evaluated:
    """What was evaluated so far.

    Attributes:
        n_prefix: tokens of prefixes.
        n_tokens: tokens of items and their continuations.
        n_batches: batches that these were evaluated in.
        n_room: tokens that the batches could have held.
    """

    n_prefix: int = 0
    n_tokens: int = 0
    n_batches: int = 0
    n_room: int = 0


class Scoring:
    """Tokens, prompts and scores of one session's model.

    Attributes:
        evaluated: what was evaluated so far.
    """

    def __init__(self, backend: Backend, turns: Turns, template: Callable[[], ChatTemplate], model_name: str) -> None:
        """`template` makes the chat template when it is first needed: not every model has one."""
        if not hasattr(backend, "score"):
            raise UnsupportedModalityError(
                f"{model_name}: its engine does not tell the probabilities of texts: take a GGUF file or an ONNX folder"
            )
        self.evaluated = Evaluated()
        self._backend = backend
        self._scoring = cast(ScoringBackend, backend)
        self._turns = turns
        self._template = template
        self._transcript = Transcript(lambda text: backend.tokenize(text, parse_special=True))

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return self._backend.info

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """A conversation as text, in the model's chat template.

        Raises:
            ChatTemplateError: the model has no usable template.
        """
        return rendered(self._template(), self.info, messages, add_generation_prompt=add_generation_prompt)

    def tokenize(self, text: str) -> list[int]:
        """The tokens of rendered text."""
        return self._transcript.tokenize(text)

    def score(
        self,
        prefix: Sequence[int],
        items: Sequence[ScoreItem],
        results: dict[int, Scored],
        on_scored: Callable[[], None] | None = None,
    ) -> None:
        """Score items, when it is their turn.

        Args:
            prefix: see ScoreRequest.
            items: likewise.
            results: gets what is scored, by the items' indexes, as it comes: it is there after an error too.
            on_scored: called after each item.

        Raises:
            EngineCrashedError: the engine crashed or hung; the next call starts a new one.
            GenerationError: the engine failed, or was told to stop.
            SessionClosedError: the session is closed.
        """
        with self._turns.held():
            for event in self._scoring.score(ScoreRequest(prefix, items)):
                if isinstance(event, Scored):
                    results[event.index] = event
                    if on_scored is not None:
                        on_scored()
                elif isinstance(event, ScoreFinished):
                    self._count(event)
                    cancelled = event.cancelled
        if cancelled:
            raise GenerationError("the scoring was cancelled: expected it to end; start it again")

    def _count(self, event: ScoreFinished) -> None:
        self.evaluated.n_prefix += event.n_prefix
        self.evaluated.n_tokens += event.n_tokens
        self.evaluated.n_batches += event.n_batches
        self.evaluated.n_room += event.n_batches * event.n_batch
