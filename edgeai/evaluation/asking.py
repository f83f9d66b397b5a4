"""Asking questions of one subject: what they begin with is evaluated once, and shared by all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeai.backends.base import Scored, ScoreItem
from edgeai.evaluation.prompts import Template, template_for
from edgeai.evaluation.subject_prompts import ChatPrompts, PlainPrompts, Prompts
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
        prompts: its prompts.
        n_examples: that fit before its longest question.
    """

    subject: Subject
    prompts: Prompts
    n_examples: int


class Asker:
    """Asks one model."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self._session = session
        self._plan = plan

    def prepared(self, subject: Subject) -> Prepared:
        """A subject with as many examples as fit the window with the longest question that fits it without any.

        MMLU's authors drop examples one by one as well, question by question; here all questions share the same ones.
        """
        template = template_for(self._plan.task.name, self._plan.by, subject)
        kind = ChatPrompts if self._plan.chat else PlainPrompts
        prompts = kind(self._session, subject, template, self._plan.by)
        most = min(self._plan.few_shot, len(subject.examples))
        room = self._session.n_ctx - _SEAM - subject.max_tokens
        sizes = [self._longest(template, question) for question in subject.questions] if most else []
        n_head = prompts.n_around(0)
        longest = max((size for size in sizes if n_head + size <= room), default=0)
        n_examples = next((n for n in range(most, 0, -1) if prompts.n_around(n) + longest <= room), 0)
        return Prepared(subject, prompts, n_examples)

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
        prompts = prepared.prompts
        prefix, rest = split_prefix(prompts.tokenize, prompts.beginning(prepared.n_examples), list(items.values()))
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
            return passage_item(self._session._backend, question.text)
        prompts = prepared.prompts
        return item_of(prompts.tokenize, prompts.prompt(prepared.n_examples, question), prompts.answers(question))

    def _written(self, prepared: Prepared, question: Question) -> Outcome:
        prompts, length = prepared.prompts, prepared.subject.max_tokens
        n_prompt = len(prompts.tokenize(prompts.prompt(prepared.n_examples, question)))
        if n_prompt + length > self._session.n_ctx:
            return Outcome(error=_too_long(n_prompt + length, self._session.n_ctx))
        return Outcome(text=prompts.write(prepared.n_examples, question, length))

    def _longest(self, template: Template, question: Question) -> int:
        """Tokens of a question with its longest answer."""
        answers = template.answers(question, self._plan.by) if isinstance(question, Choice) else [""]
        return self._session.count_tokens(template.asked(question) + max(answers, key=len))


def _too_long(n_needed: int, n_ctx: int) -> str:
    return f"{n_needed:,} tokens, and the window holds {n_ctx:,}: open the model with a larger one (--n-ctx)"
