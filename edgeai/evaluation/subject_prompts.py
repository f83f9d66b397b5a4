"""Prompts of one subject, in the tokens of one model: the plain text that benchmarks use, or the model's own chat."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

from edgeai.common_prefix import n_common
from edgeai.context_window import rendered
from edgeai.control_tokens import ControlTokens
from edgeai.errors import ChatTemplateError
from edgeai.evaluation.prompts import Template
from edgeai.evaluation.types import By, Question, Subject
from edgeai.messages import Message
from edgeai.transcript import SEAM, Transcript

if TYPE_CHECKING:
    from edgeai.session import Session

_PROBES = ("a", "1 b,\n\n x.", "。<|y")
_MARK = "Zanswerz"
_GREEDY: dict[str, Any] = {"temperature": 0.0, "repeat_penalty": 1.0}


class Prompts(Protocol):
    """The prompts of a subject."""

    def beginning(self, n_examples: int) -> str:
        """The text that all of them begin with."""
        ...

    def n_around(self, n_examples: int) -> int:
        """Tokens that stand around a question, about."""
        ...

    def prompt(self, n_examples: int, question: Question) -> str:
        """Up to where the answer begins."""
        ...

    def answers(self, question: Question) -> list[str]:
        """What may follow a prompt: each choice, or the right answer."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a prompt, and of a prompt with an answer."""
        ...

    def write(self, n_examples: int, question: Question, max_tokens: int) -> str:
        """Let the model answer, the likeliest token each time."""
        ...


class PlainPrompts:
    """The same text for every model. See `Prompts`."""

    def __init__(self, session: Session, subject: Subject, template: Template, by: By) -> None:
        self._session = session
        self._subject, self._template, self._by = subject, template, by

    def beginning(self, n_examples: int) -> str:
        return self._template.beginning(self._subject, n_examples, self._by)

    def n_around(self, n_examples: int) -> int:
        return self._session.count_tokens(self.beginning(n_examples))

    def prompt(self, n_examples: int, question: Question) -> str:
        return self.beginning(n_examples) + self._template.asked(question)

    def answers(self, question: Question) -> list[str]:
        return self._template.answers(question, self._by)

    def tokenize(self, text: str) -> list[int]:
        return self._session._backend.tokenize(text, add_special=True)

    def write(self, n_examples: int, question: Question, max_tokens: int) -> str:
        prompt = self.prompt(n_examples, question)
        return self._session.complete(prompt, max_tokens=max_tokens, **_GREEDY).text


class ChatPrompts:
    """The same words as turns of a conversation, in the model's chat template. See `Prompts`.

    The head is the system message, or stands before the first question where the template has no place for one; each
    example is a question of the user's and an answer of the assistant's, without the space around them.

    Source: the few-shot examples as turns are lm-evaluation-harness's --apply_chat_template --fewshot_as_multiturn.
    """

    def __init__(self, session: Session, subject: Subject, template: Template, by: By) -> None:
        """
        Raises:
            ChatTemplateError: the model has no chat template, or it refuses such a conversation.
        """
        self._session = session
        self._subject, self._template, self._by = subject, template, by
        self._transcript = Transcript(lambda text: session._backend.tokenize(text, parse_special=True))
        info = session.info
        self._control = ControlTokens((*info.special_tokens, info.bos_token, info.eos_token))
        head = template.head_of(subject).strip()
        probe = [Message("system", _MARK), Message("user", _PROBES[0])]
        is_system = bool(head) and _MARK in self._rendered(probe)
        self._system = [Message("system", head)] if is_system else []
        self._preface = f"{head}\n\n" if head and not is_system else ""

    def messages(self, n_examples: int, asked: str) -> list[Message]:
        """The conversation up to a question."""
        examples = self._subject.examples[:n_examples]
        turns = list[Message]()
        for example in examples:
            turns.append(Message("user", self._template.asked(example).strip()))
            turns.append(Message("assistant", self._template.right_answer(example, self._by).strip()))
        turns.append(Message("user", asked.strip()))
        turns[0] = Message("user", self._preface + turns[0].content)
        return [*self._system, *turns]

    def beginning(self, n_examples: int) -> str:
        first, *others = (self._rendered(self.messages(n_examples, probe)) for probe in _PROBES)
        return first[: min(n_common(first, other) for other in others)]

    def n_around(self, n_examples: int) -> int:
        return len(self.tokenize(self._rendered(self.messages(n_examples, _PROBES[0]))))

    def prompt(self, n_examples: int, question: Question) -> str:
        return self._rendered(self.messages(n_examples, self._template.asked(question)))

    def answers(self, question: Question) -> list[str]:
        answers = self._template.answers(question, self._by)
        return [self._gap + self._control.guard(answer.strip()) for answer in answers]

    def tokenize(self, text: str) -> list[int]:
        return self._transcript.tokenize(SEAM.join(self._control.parts(text)))

    def write(self, n_examples: int, question: Question, max_tokens: int) -> str:
        messages = self.messages(n_examples, self._template.asked(question))
        return self._session.chat(messages=messages, max_tokens=max_tokens, **_GREEDY).text

    def _rendered(self, messages: list[Message], *, add_generation_prompt: bool = True) -> str:
        session = self._session
        return rendered(session._template, session.info, messages, add_generation_prompt=add_generation_prompt)

    @functools.cached_property
    def _gap(self) -> str:
        """The white space that the template writes between a prompt and its answer."""
        messages = self.messages(0, _PROBES[0])
        prompt = self._rendered(messages)
        try:
            whole = self._rendered([*messages, Message("assistant", _MARK)], add_generation_prompt=False)
        except ChatTemplateError:  # some want a user's turn at the end
            return ""
        before = whole.rpartition(_MARK)[0]
        gap = before[len(prompt) :] if before.startswith(prompt) else ""
        return "" if gap.strip() else gap
