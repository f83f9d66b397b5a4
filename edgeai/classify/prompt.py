"""What is asked about each text: instructions and examples first, then the text, in the model's chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeai.backends.base import ScoreItem
from edgeai.classify.turn import LastTurn, Renders, Turn
from edgeai.classify.types import Example
from edgeai.common_prefix import n_common
from edgeai.errors import OptionError
from edgeai.messages import Message

YES, NO = "yes", "no"
DEFAULT_INSTRUCTIONS = "Classify the text."
_CHOOSE = "Answer with one of these labels and nothing else: {}"
_DECIDE = "After each text comes a label. Say whether it applies to the text: answer yes or no and nothing else."
_QUESTION = '{}\n\nDoes the label "{}" apply to this text?'
_PROBE = "\ufdd1"


@dataclass(frozen=True, slots=True)
class Asked:
    """A text as it is scored.

    Attributes:
        n_prefix: tokens of the prompt's prefix that it begins with.
        item: the rest; its continuations are the labels, or yes and no for each label in turn.
        n_tokens: of all, the longest continuation included.
        n_work: tokens to evaluate, at most.
    """

    n_prefix: int
    item: ScoreItem
    n_tokens: int
    n_work: int


class ClassifyPrompt:
    """The prompts of one set of labels, instructions and examples."""

    def __init__(
        self, model: Renders, labels: Sequence[str], instructions: str, examples: Sequence[Example], *, multi: bool
    ) -> None:
        """
        Args:
            model: renders and tokenizes.
            labels: checked ones.
            instructions: what the labels mean.
            examples: texts with their labels.
            multi: ask about each label by itself.
        Raises:
            OptionError: labels are the same to the tokenizer.
            ChatTemplateError: the model has no usable template.
        """
        self._labels, self._multi = labels, multi
        rule = _DECIDE if multi else _CHOOSE.format(", ".join(labels))
        messages = [Message("system", f"{instructions.strip()}\n\n{rule}".strip())]
        for example in examples:
            messages += self._shown(example)
        messages, preface = _heard(model, messages)
        self._turn = LastTurn(model, messages, (YES, NO) if multi else labels, preface)

    @property
    def prefix(self) -> Sequence[int]:
        """Tokens that nearly all prompts begin with."""
        return self._turn.prefix

    def of(self, text: str) -> Asked:
        """A text's prompt. White space round it is dropped."""
        text = text.strip()
        if not self._multi:
            turn = self._turn.of(text)
            return _asked(turn.n_prefix, ScoreItem(turn.tokens, turn.answers))
        return _branched([self._turn.of(_QUESTION.format(text, label)) for label in self._labels], self.prefix)

    def _shown(self, example: Example) -> list[Message]:
        text = example.text.strip()
        if not self._multi:
            return [Message("user", text), Message("assistant", example.labels[0])]
        answers = [(label, YES if label in example.labels else NO) for label in self._labels]
        return [
            message
            for label, answer in answers
            for message in (Message("user", _QUESTION.format(text, label)), Message("assistant", answer))
        ]


def checked_examples(examples: Sequence[Any], labels: Sequence[str], *, multi: bool) -> tuple[Example, ...]:
    """Examples from what users write.

    Args:
        examples: each an Example, a pair of text and label (multi-label: labels), or {"text": …, "label": …}.
        labels: checked ones.
        multi: an example may have any number of labels.
    Raises:
        OptionError: one is not an example, or has a label that is not among the labels.
    """
    return tuple(_example(number, given, labels, multi=multi) for number, given in enumerate(examples, 1))


def _example(number: int, given: Any, labels: Sequence[str], *, multi: bool) -> Example:
    if isinstance(given, Mapping):
        text, found = given.get("text"), given.get("labels", given.get("label"))
    elif isinstance(given, Example):
        text, found = given.text, given.labels
    else:
        text, found = given if isinstance(given, (tuple, list)) and len(given) == 2 else (None, None)
    names = [found] if isinstance(found, str) else found
    if not isinstance(text, str) or not isinstance(names, (list, tuple)):
        raise OptionError(f'example {number}: expected a text and its label, such as {{"text": "…", "label": "…"}}')
    own = tuple(name.strip() if isinstance(name, str) else name for name in names)
    wrong = next((name for name in own if name not in labels), None)
    if wrong is not None:
        raise OptionError(f"example {number} has the label {wrong!r}: expected one of {', '.join(labels)}")
    if not multi and len(own) != 1:
        raise OptionError(f"example {number} has {len(own)} labels: expected one; multi=True takes several")
    return Example(text, own)


def _heard(model: Renders, messages: list[Message]) -> tuple[list[Message], str]:
    """Messages as the template writes all of them, and what is to stand before the last one's text.

    Some templates have no place for a system message, and lose it without a word.
    """
    system, *others = messages
    if _PROBE in model.render([Message("system", _PROBE), Message("user", "a")]):
        return messages, ""
    said = f"{system.content}\n\n"
    if not others:
        return [], said
    return [Message("user", said + others[0].content), *others[1:]], ""


def _asked(n_prefix: int, item: ScoreItem) -> Asked:
    sizes = [len(continuation) for continuation in item.continuations]
    n_tokens, n_work = len(item.tokens) + max(sizes), len(item.tokens) + sum(sizes) - len(sizes)
    return Asked(n_prefix, item, n_prefix + n_tokens, n_work)


def _branched(turns: Sequence[Turn], prefix: Sequence[int]) -> Asked:
    """The questions about one text as one item: what they have in common is its own, the rest is given."""
    n_prefix = min(turn.n_prefix for turn in turns)
    whole = [[*prefix[n_prefix : turn.n_prefix], *turn.tokens] for turn in turns]
    n_same = min(n_common(whole[0], tokens) for tokens in whole)
    continuations, n_given = list[list[int]](), list[int]()
    for turn, tokens in zip(turns, whole, strict=True):
        continuations += [[*tokens[n_same:], *answer] for answer in turn.answers]
        n_given += [len(tokens) - n_same] * len(turn.answers)
    return _asked(n_prefix, ScoreItem(whole[0][:n_same], continuations, n_given))
