"""What a session does with probabilities: sort texts by labels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgeai.backends.base import Backend
from edgeai.context_window import template_of
from edgeai.prompt import ChatTemplate
from edgeai.scoring import Scoring
from edgeai.turns import Turns

if TYPE_CHECKING:
    from edgeai.classify.types import Classification


class Classifies:
    """The part of `Session` that reads answers from the model's probabilities instead of generating them."""

    model_name: str
    _backend: Backend
    _turns: Turns
    _template_source: str | None
    _check_scoring: Callable[[], None]

    @functools.cached_property
    def _template(self) -> ChatTemplate:
        return template_of(self._backend.info, self._template_source, self.model_name)

    @functools.cached_property
    def scoring(self) -> Scoring:
        """How likely texts are to the model, in turn with its answers.

        Raises:
            ModelTooLargeError: there is no memory for it.
            UnsupportedModalityError: its engine does not tell.
        """
        scoring = Scoring(self._backend, self._turns, lambda: self._template, self.model_name)
        self._check_scoring()
        return scoring

    def classify(
        self, texts: Iterable[str], labels: Sequence[str], *, instructions: str | None = None, **options: Any
    ) -> list[Classification]:
        """Sort texts by labels.

        The conversation has no part in it, and stays. For many texts take `edgeai.classify.classifier.Classifier`,
        which gives results while it works.

        Args:
            texts: what to classify.
            labels: the possible answers, two or more.
            instructions: what the labels mean, how to decide; None is "Classify the text."
            options: examples, multi, calibrate, abstain_below, truncate: see Classifier.

        Returns:
            One for each text, in order. A text that could not be classified has its reason in `error`.

        Raises:
            OptionError: labels or options that make no sense, or instructions that leave no room for a text.
            ChatTemplateError: the model has no usable chat template.
            GenerationError: the engine failed.
        """
        from edgeai.classify.classifier import Classifier

        return list(Classifier(self, labels, instructions=instructions, **options).classify(texts))
