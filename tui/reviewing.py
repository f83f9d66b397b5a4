"""What `edgeai review` does: the plan, the line that shows how far it is, where the remarks go."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.notes.job import Plan
from edgeai.review.asking import Asker
from edgeai.review.deck import Deck, Slide, open_deck
from edgeai.review.remarks import Remark
from edgeai.review.report import Report
from edgeai.review.review import journal_of, look, measured_remarks, model_remarks
from edgeai.review.rules import Language, Rules
from tui import session_options
from tui.docs_words import counted
from tui.notes_job import Printer, plan_text, progress_text, time_text
from tui.output import message, print_json
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.documents.types import OcrMode
    from edgeai.notes.journal import Journal
    from edgeai.notes.markdown import NotesFile, NotesPart
    from edgeai.notes.steps import StepProgress
    from edgeai.review.process import FoundSlide
    from edgeai.session import Session

_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for.

    Attributes:
        path: the deck.
        first: slide.
        last: slide; None for the last of all.
        language: of the remarks.
        file: that they are written to; None prints them.
        asks: a model is asked, too.
        as_json: JSON is printed.
        password: of an encrypted PDF.
        ocr: slides whose writing is recognised.
    """

    path: Path
    first: int
    last: int | None
    language: Language
    file: NotesFile | None
    asks: bool
    as_json: bool
    password: str | None
    ocr: OcrMode


def slide_range(text: str | None) -> tuple[int, int | None]:
    """The first and the last slide of `3-7` or `5`.

    Raises:
        click.UsageError: it is none.
    """
    if text is None:
        return 1, None
    found = _RANGE.fullmatch(text.strip())
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise click.UsageError(f"--slides {text[:40]!r}: expected a slide or a range of them, as in 5 or 3-7")
    return first, last


class Reviewing:
    """One review."""

    def __init__(self, rules: Rules, wishes: Wishes, line: ProgressLine) -> None:
        self._rules, self._wishes, self._line = rules, wishes, line
        self._printer = Printer(line)

    def run(self, opening: Mapping[str, Any]) -> None:
        """Look at the slides, ask the model, write it down. `opening`: options of the session."""
        from edgeai.documents.scans import possible

        ocr = possible(self._wishes.ocr)
        self._line.start()
        self._line.show("opening")
        with self._opened() as deck, journal_of(deck) as journal:
            if not journal.is_empty:
                self._tell("note", "goes on with earlier work", "yellow")
            try:
                slides = self._looked_at(deck, ocr, journal)
                self._write(deck, slides, journal, opening)
            except BaseException:
                self._line.clear()
                if not journal.is_empty:
                    self._tell("note", "not finished: the same command goes on with what is done", "yellow")
                raise
            journal.remove()

    def _opened(self) -> AbstractContextManager[Deck]:
        wishes, n_most = self._wishes, int(self._rules.limits["max_slides"])
        return open_deck(wishes.path, password=wishes.password, first=wishes.first, last=wishes.last, max_slides=n_most)

    def _looked_at(self, deck: Deck, ocr: OcrMode, journal: Journal) -> list[Slide]:
        n_slides = len(deck.numbers)
        if deck.note:
            self._tell("note", f"{deck.note}: the text alone is reviewed, without contrast and pictures", "yellow")
        started = time.monotonic()

        def on_slide(n_done: int) -> None:
            left = (time.monotonic() - started) / n_done * (n_slides - n_done)
            if n_done == 1:  # how long one takes is known now
                self._tell("plan", f"{counted(n_slides, 'slide')} to look at: about {time_text(left)}", "cyan")
            self._line.show(f"slide {n_done:,} of {n_slides:,} · {time_text(left)} left")

        slides = look(deck, ocr, journal, on_slide)
        empty = [str(slide.number) for slide in slides if not slide.lines]
        if empty:
            from edgeai.documents.scans import advice

            some = ", ".join(empty[:5]) + (" …" if len(empty) > 5 else "")
            self._tell("note", f"{counted(len(empty), 'slide')} without text ({some}): {advice(ocr)}", "yellow")
        return slides

    def _write(self, deck: Deck, slides: Sequence[Slide], journal: Journal, opening: Mapping[str, Any]) -> None:
        report = Report(deck, self._rules, self._wishes.language)
        found = measured_remarks(slides, self._rules)
        model = None
        if self._wishes.asks:
            options = dict(opening)
            self._line.start()
            with session_options.open_session(options.pop("model", None), **options) as session:
                self._line.clear()
                model = session.model_name
                self._with_model(report, slides, found, session, journal)
        else:
            self._without_model(report, slides, found)
        report.finish(model)
        self._show(report, None)
        if self._wishes.file:
            self._wishes.file.finish(report.notes)
            self._tell("done", f"{self._wishes.file.path}: {counted(len(report.remarks), 'remark')}", "green")
        if self._wishes.as_json:
            print_json(report.json(model))

    def _without_model(self, report: Report, slides: Sequence[Slide], found: Sequence[Remark]) -> None:
        for slide in slides:
            self._show_part(report, report.add_slide(slide, _on(slide, found)))
        self._show_part(report, report.add_between([remark for remark in found if len(remark.slides) > 1]))

    def _with_model(
        self, report: Report, slides: Sequence[Slide], found: Sequence[Remark], session: Session, journal: Journal
    ) -> None:
        asker = Asker(session, self._rules, journal)
        questions = asker.questions(slides)
        budget, seconds = asker.plan(questions)
        self._tell("plan", plan_text(Plan(budget, seconds, None, None)), "cyan")
        self._line.start()
        todo = {question.slides[0].number for question in questions if len(question.slides) == 1}
        between = [remark for remark in found if len(remark.slides) > 1]
        left = iter(slides)
        with ExitStack() as stack:
            pictures: Iterable[FoundSlide] = ()
            if any(question.has_picture and not asker.is_answered(question) for question in questions):
                pictures = stack.enter_context(self._opened()).slides()  # again: all of them at once take much memory
            for question, remarks in model_remarks(asker, questions, pictures, self._tell_step):
                if len(question.slides) > 1:
                    between += remarks
                    continue
                for slide in left:
                    is_asked = slide.number in todo
                    own = [*_on(slide, found), *(remarks if is_asked else ())]
                    self._show_part(report, report.add_slide(slide, own))
                    if is_asked:
                        break
        for slide in left:
            self._show_part(report, report.add_slide(slide, _on(slide, found)))
        self._show_part(report, report.add_between(between))

    def _tell_step(self, progress: StepProgress) -> None:
        self._line.show(progress_text(progress))

    def _show_part(self, report: Report, part: NotesPart | None) -> None:
        if part is not None:
            self._show(report, part)

    def _show(self, report: Report, part: NotesPart | None) -> None:
        """A part, or what is said of the whole."""
        if self._wishes.file:
            self._wishes.file.write(report.notes)
        elif not self._wishes.as_json:
            self._printer.show(report.notes, part)

    def _tell(self, prefix: str, text: str, color: str) -> None:
        self._line.clear()
        message(prefix, text, color)


def _on(slide: Slide, remarks: Sequence[Remark]) -> list[Remark]:
    return [remark for remark in remarks if remark.slides == (slide.number,)]
