"""Asking questions of one subject: what they begin with is evaluated once, and shared by all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeai.backends.base import Scored, ScoreItem
from edgeai.evaluation.prompts import Template, template_for
from edgeai.evaluation.tasks import Plan
from edgeai.evaluation.tokens import item_of, n_tokens, passage_item, split_prefix
from edgeai.evaluation.types import Choice, Outcome, Passage, Question, Subject

if TYPE_CHECKING:
    from edgeai.session import Session

_LEAST = -1000.0  # nats a token: what cannot be counts as this unlikely, so that means stay numbers
_SEAM = 8  # tokens that a prompt may have more than its parts


@dataclass(frozen=True, slots=True)
class Prepared:
    """A subject, ready to be asked.

    Attributes:
        subject: the subject.
        template: of its prompts.
        n_examples: that fit before its longest question.
        beginning: the text that all of its prompts begin with.
    """

    subject: Subject
    template: Template
    n_examples: int
    beginning: str


class Asker:
    """Asks one model."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self._session = session
        self._backend = session._backend
        self._plan = plan

    def prepared(self, subject: Subject) -> Prepared:
        """A subject with as many examples as fit the window with the longest question that fits it without any.

        MMLU's authors drop examples one by one as well, question by question; here all questions share the same ones.
        """
        template = template_for(self._plan.task.name, self._plan.by, subject)
        most = min(self._plan.few_shot, len(subject.examples))
        by = self._plan.by
        room = self._session.n_ctx - _SEAM - subject.max_tokens
        sizes = [self._longest(template, question) for question in subject.questions] if most else []

        def n_beginning(n_examples: int) -> int:
            return self._session.count_tokens(template.beginning(subject, n_examples, by))

        n_head = n_beginning(0)
        longest = max((size for size in sizes if n_head + size <= room), default=0)
        n_examples = next((n for n in range(most, 0, -1) if n_beginning(n) + longest <= room), 0)
        return Prepared(subject, template, n_examples, template.beginning(subject, n_examples, by))

    def ask(
        self, prepared: Prepared, questions: Sequence[Question], on_asked: Callable[[], None] | None = None
    ) -> list[Outcome]:
        """What the model makes of some questions, in their order.

        Args:
            prepared: their subject.
            questions: of it.
            on_asked: told of each that was scored.
        """
        if self._plan.by == "writing":
            return [self._written(prepared, question) for question in questions]
        outcomes = dict[int, Outcome]()
        items = dict[int, ScoreItem]()
        for number, question in enumerate(questions):
            item = self._item(prepared, question)
            if not all(item.continuations):
                outcomes[number] = Outcome(error="it has a single token: nothing is left to score")
            elif n_tokens(item) > self._session.n_ctx:
                outcomes[number] = Outcome(error=_too_long(n_tokens(item), self._session.n_ctx))
            else:
                items[number] = item
        outcomes |= self._scored(prepared, items, on_asked)
        return [outcomes[number] for number in range(len(questions))]

    def _scored(
        self, prepared: Prepared, items: dict[int, ScoreItem], on_asked: Callable[[], None] | None
    ) -> dict[int, Outcome]:
        if not items:
            return {}
        numbers = list(items)
        prefix, rest = split_prefix(self._backend, prepared.beginning, list(items.values()))
        scored = dict[int, Scored]()
        self._session.scoring.score(prefix, rest, scored, on_asked)
        found = {}
        for index, event in scored.items():
            sizes = tuple(map(len, rest[index].continuations))
            log_probs = tuple(max(value, _LEAST * n) for value, n in zip(event.log_probs, sizes, strict=True))
            found[numbers[index]] = Outcome(log_probs, sizes)
        return found

    def _item(self, prepared: Prepared, question: Question) -> ScoreItem:
        if isinstance(question, Passage):
            return passage_item(self._backend, question.text)
        assert isinstance(question, Choice)
        prompt = prepared.beginning + prepared.template.asked(question)
        return item_of(self._backend, prompt, prepared.template.answers(question, self._plan.by))

    def _written(self, prepared: Prepared, question: Question) -> Outcome:
        prompt, length = prepared.beginning + prepared.template.asked(question), prepared.subject.max_tokens
        n_prompt = self._session.count_tokens(prompt) + 1
        if n_prompt + length > self._session.n_ctx:
            return Outcome(error=_too_long(n_prompt + length, self._session.n_ctx))
        response = self._session.complete(prompt, max_tokens=length, temperature=0.0, repeat_penalty=1.0)
        return Outcome(text=response.text)

    def _longest(self, template: Template, question: Question) -> int:
        """Tokens of a question with its longest answer."""
        answers = template.answers(question, self._plan.by) if isinstance(question, Choice) else [""]
        return self._session.count_tokens(template.asked(question) + max(answers, key=len))


def _too_long(n_needed: int, n_ctx: int) -> str:
    return f"{n_needed:,} tokens, and the window holds {n_ctx:,}: open the model with a larger one (--n-ctx)"
