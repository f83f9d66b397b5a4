"""The last turn of a prompt, whose text varies while all before it stays: its tokens, exactly as those of the whole.

A text is tokenized in pieces only where a control token begins: tokenizers cut there first, so that what stands before
cannot change what comes after. Where a template has no such place, or the tokenizer turns out to be otherwise, the
whole prompt is tokenized each time, which is right and slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeai.backends.base import ModelInfo
from edgeai.classify.labels import AnswerTokens
from edgeai.common_prefix import n_common
from edgeai.errors import ChatTemplateError
from edgeai.messages import Message

_PROBES = ("a", "1 b,\n\n x.", "。<|y")
_MARK = "Zanswerz"
_SAME_CHARS = 4  # by which the end of a prompt is known again


class Renders(Protocol):
    """See `edgeai.scoring.Scoring`."""

    @property
    def info(self) -> ModelInfo: ...

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str: ...

    def tokenize(self, text: str) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One message's tokens.

    Attributes:
        n_prefix: tokens of `LastTurn.prefix` that the prompt begins with: nearly always all of them.
        tokens: the prompt's others, up to where answers differ.
        answers: what each answer adds.
    """

    n_prefix: int
    tokens: list[int]
    answers: list[list[int]]


class LastTurn:
    """A user's message after others that stay, and the possible answers to it.

    Attributes:
        prefix: tokens that nearly all prompts begin with.
    """

    def __init__(self, model: Renders, before: Sequence[Message], answers: Sequence[str], preface: str = "") -> None:
        """
        Args:
            model: renders and tokenizes.
            before: the messages that stay.
            answers: what may follow.
            preface: stands before each message's text.
        Raises:
            OptionError: answers are the same to the tokenizer.
            ChatTemplateError: the template refuses such a conversation.
        """
        self._model, self._before, self._preface = model, list(before), preface
        self.prefix: list[int] = []
        self._head, self._head_tokens, self._tail = "", list[int](), ""
        texts = [self._render(probe) for probe in _PROBES]
        gap, after = self._around_answers(texts[0])
        self._answers = AnswerTokens(model.tokenize, answers, gap, after)
        self._cut(texts, gap + answers[0])
        rests = [self._rest(text)[1] for text in texts]
        self.prefix = self._head_tokens + rests[0][: min(n_common(rests[0], rest) for rest in rests[1:])]

    def of(self, content: str) -> Turn:
        """The tokens of a message and of the answers to it."""
        base, rest, answers = self._rest(self._render(content))
        n_base = len(base)
        known = self.prefix[n_base:]
        n_same = n_common(known, rest)
        return Turn(n_base + n_same, rest[n_same:], answers)

    def _render(self, content: str) -> str:
        return self._model.render([*self._before, Message("user", self._preface + content)])

    def _around_answers(self, prompt: str) -> tuple[str, str]:
        """What the template writes between a prompt and an answer, and after an answer."""
        messages = [*self._before, Message("user", self._preface + _PROBES[0]), Message("assistant", _MARK)]
        try:
            text = self._model.render(messages, add_generation_prompt=False)
        except ChatTemplateError:  # some want a user's turn at the end
            text = ""
        before, mark, after = text.rpartition(_MARK)
        return _gap(prompt, before) if mark else "", after if mark and after else self._model.info.eos_token

    def _cut(self, texts: Sequence[str], answer: str) -> None:
        """Find the places where prompts may be tokenized in pieces: before the message, and before the answer."""
        n_begin = min(n_common(texts[0], text) for text in texts[1:])
        n_end = min(n_common(texts[0][::-1], text[::-1]) for text in texts[1:])
        head = texts[0][: max(self._last_control_token(texts[0][:n_begin]), 0)]
        end = texts[0][len(texts[0]) - n_end :]
        at = self._last_control_token(end)
        tail = end[at:] if at >= 0 else ""
        tokenize = self._model.tokenize
        head_tokens = tokenize(head)
        for text in texts[:2]:
            body = text[len(head) : len(text) - len(tail)]
            pieces = head_tokens + tokenize(body)
            if pieces + tokenize(tail) != tokenize(text) or pieces + tokenize(tail + answer) != tokenize(text + answer):
                return
        self._head, self._head_tokens, self._tail = head, head_tokens, tail
        self._tail_tokens, self._tail_answers = self._answers.after(tail) if tail else ([], [])

    def _last_control_token(self, text: str) -> int:
        """Where the last control token of a text begins; -1 for none."""
        return max((text.rfind(token) for token in self._model.info.special_tokens if len(token) > 1), default=-1)

    def _rest(self, text: str) -> tuple[list[int], list[int], list[list[int]]]:
        """A prompt's tokens in the two pieces that are known and not, and the answers'."""
        base = list[int]()
        if self._head and text.startswith(self._head):
            base, text = self._head_tokens, text[len(self._head) :]
        if self._tail and text.endswith(self._tail):
            tokens = self._model.tokenize(text[: len(text) - len(self._tail)]) + self._tail_tokens
            return base, tokens, self._tail_answers
        return base, *self._answers.after(text)


def _gap(prompt: str, before: str) -> str:
    """The white space that stands before an answer in a conversation, and not at the end of a prompt.

    Of the text before, only the end counts: some templates write the instructions elsewhere once there is an answer.
    """
    written, asked = before.rstrip(), prompt.rstrip()
    if written[-_SAME_CHARS:] != asked[-_SAME_CHARS:]:
        return ""
    space, known = before[len(written) :], prompt[len(asked) :]
    return space[len(known) :] if space.startswith(known) else ""
