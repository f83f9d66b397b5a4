"""A model asked about slides, one after the other and then all together; each answer is kept until all is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeai.documents.prompt_text import fenced_text
from edgeai.errors import ContextOverflowError, EngineCrashedError, OptionError
from edgeai.messages import Message
from edgeai.notes.meter import Budget, Meter
from edgeai.notes.steps import TEMPLATE_TOKENS, StepProgress
from edgeai.review.answers import MAX_TOKENS, deck_schema, slide_schema
from edgeai.review.deck import Slide
from edgeai.review.rules import Rules, filled

if TYPE_CHECKING:
    from edgeai.backends.base import PrefillProgress
    from edgeai.media import Medium
    from edgeai.notes.journal import Journal
    from edgeai.response import Response
    from edgeai.session import Session

_LEAST_ROOM = 120  # tokens for the text of a slide
_PICTURE_TOKENS = 800
"""About so many: what a picture takes is known when the model has seen it."""
_LEAST_TOGETHER = 2
_MAX_SLIDE_CHARS = 6000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked at once.

    Attributes:
        what: it is about; for people who wait.
        prompt: the user's message, without the picture.
        told: what the model is told to do, in it.
        schema: of the answer.
        slides: that it is about.
        has_picture: the picture of the slide is shown with it.
        n_tokens: of the prompt, about.
    """

    what: str
    prompt: str
    told: str
    schema: dict[str, Any]
    slides: tuple[Slide, ...]
    has_picture: bool
    n_tokens: int


class Asker:
    """Asks one model about the slides of one deck.

    Attributes:
        kinds: of remarks that it may make on a slide.
    """

    def __init__(self, session: Session, rules: Rules, journal: Journal) -> None:
        """
        Raises:
            OptionError: the window is too small.
        """
        self._session, self._rules, self._journal = session, rules, journal
        self.kinds = rules.kinds
        self._system = filled(rules.prompts["system"])
        told = max(session.count_tokens(rules.prompts[name]) for name in ("slide", "deck"))
        picture = _PICTURE_TOKENS if session.info.sees else 0
        least = session.count_tokens(self._system) + told + TEMPLATE_TOKENS + picture + MAX_TOKENS
        self._room = session.n_ctx - least
        if self._room < _LEAST_ROOM:
            raise OptionError(
                f"n_ctx = {session.n_ctx}: expected at least {least + _LEAST_ROOM}; choose a larger window (--n-ctx)"
            )
        self._meter, self._budget = Meter(), Budget()

    def questions(self, slides: Sequence[Slide]) -> list[Question]:
        """What there is to ask: about each slide with text, and about all of them in as few parts as fit."""
        told = [slide for slide in slides if slide.text]
        return [*map(self._about_slide, told), *self._about_all(told)]

    def plan(self, questions: Sequence[Question]) -> tuple[Budget, float | None]:
        """What they come to, and about how many seconds they take here."""
        todo = [question for question in questions if not self.is_answered(question)]
        n_read = sum(question.n_tokens for question in todo)
        self._budget = Budget(len(questions), len(questions) - len(todo), n_read, MAX_TOKENS * len(todo))
        if todo:
            self._meter.try_out(self._session)
        return self._budget, self._meter.seconds(self._budget.n_read, self._budget.n_written) if todo else 0.0

    def is_answered(self, question: Question) -> bool:
        """Whether its answer was kept."""
        return self._journal.get(self._key(question)) is not None

    def answer(
        self, question: Question, number: int, picture: Medium | None, on_progress: Callable[[StepProgress], None]
    ) -> str:
        """The answer, as the model wrote it; one that was kept is not asked for again.

        Args:
            question: one of those that were planned.
            number: of it, from 1.
            picture: of the slide, where the question has one.
            on_progress: told how far it is.
        """
        kept = self._journal.get(self._key(question))
        if kept is None:

            def tell(doing: str, share: float) -> None:
                left = self._meter.seconds(self._budget.n_read, self._budget.n_written)
                on_progress(StepProgress(number, self._budget.n_steps, question.what, doing, share, left))

            try:
                response = self._asked(question, picture, tell)
            except EngineCrashedError:  # the next question starts a new engine; a second crash is told
                response = self._asked(question, picture, tell)
            self._meter.add(response.usage, response.timings, MAX_TOKENS)
            self._budget.n_read = max(0, self._budget.n_read - question.n_tokens)
            self._budget.n_written = max(0, self._budget.n_written - MAX_TOKENS)
            kept = response.text
            self._journal.put(self._key(question), kept)
        return kept

    def _key(self, question: Question) -> str:
        """Names an answer in the journal: another model, prompt or form has another one."""
        info = self._session.info
        model = [info.name, info.architecture, info.n_params, info.size_bytes]
        facts = [model, self._system, question.prompt, question.schema, MAX_TOKENS, question.has_picture]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    def _asked(self, question: Question, picture: Medium | None, tell: Callable[[str, float], None]) -> Response:
        media = (picture,) if picture is not None and question.has_picture else ()
        try:
            response = self._started(question, media, tell)
        except ContextOverflowError:
            if not media:
                raise
            response = self._started(question, (), tell)  # it is larger than the window: the text alone
        try:
            for _piece in response:
                tell("writing", 1.0)
        except BaseException:
            response.cancel()
            response.wait()
            raise
        return response

    def _started(self, question: Question, media: tuple[Medium, ...], tell: Callable[[str, float], None]) -> Response:
        def reading(progress: PrefillProgress) -> None:
            tell("reading", progress.n_done / max(1, progress.n_total))

        return self._session.chat(
            messages=[Message("system", self._system), Message("user", question.prompt, media=media)],
            response_format=question.schema,
            on_progress=reading,
            temperature=0.0,
            max_tokens=MAX_TOKENS,
        )

    def _about_slide(self, slide: Slide) -> Question:
        fenced = fenced_text(f"slide {slide.number}", self._cut(slide.text, self._room))
        has_picture = self._session.info.sees and slide.has_picture
        return self._question(
            f"slide {slide.number}", "slide", fenced, slide_schema(self._rules), (slide,), has_picture
        )

    def _about_all(self, slides: Sequence[Slide]) -> Iterator[Question]:
        for group in self._groups(slides):
            if len(group) >= _LEAST_TOGETHER:
                fenced = "\n\n".join(fenced_text(f"slide {slide.number}", text) for slide, text in group)
                some = tuple(slide for slide, _ in group)
                what = f"slides {some[0].number}-{some[-1].number} together"
                yield self._question(what, "deck", fenced, deck_schema(self._rules, some), some, has_picture=False)

    def _groups(self, slides: Sequence[Slide]) -> Iterator[list[tuple[Slide, str]]]:
        """Neighbours that fit into the window together, long ones without their ends."""
        group: list[tuple[Slide, str]] = []
        n_tokens = 0
        for slide in slides:
            text = self._cut(slide.text, self._room // _LEAST_TOGETHER - 30)
            more = self._session.count_tokens(fenced_text(f"slide {slide.number}", text)) + 2
            if group and n_tokens + more > self._room:
                yield group
                group, n_tokens = group[-1:], self._session.count_tokens(group[-1][1]) + 30
                if n_tokens + more > self._room:
                    group, n_tokens = [], 0
            group.append((slide, text))
            n_tokens += more
        if group:
            yield group

    def _question(
        self, what: str, name: str, fenced: str, schema: dict[str, Any], slides: tuple[Slide, ...], has_picture: bool
    ) -> Question:
        told = filled(self._rules.prompts[name], max_remarks=self._rules.max_remarks)
        prompt = f"{fenced}\n\n{told}"
        n_tokens = self._session.count_tokens(self._system) + self._session.count_tokens(prompt) + TEMPLATE_TOKENS
        return Question(what, prompt, told, schema, slides, has_picture, n_tokens + _PICTURE_TOKENS * has_picture)

    def _cut(self, text: str, n_tokens: int) -> str:
        """No more of a text than so many tokens, in whole lines where that can be."""
        text = text[:_MAX_SLIDE_CHARS]
        while len(text) > 1 and (n := self._session.count_tokens(text) + 30) > n_tokens:
            shorter = text[: min(len(text) - 1, len(text) * n_tokens // n)]
            text = shorter.rpartition("\n")[0] or shorter
        return text
