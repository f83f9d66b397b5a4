"""A deck reviewed: its slides are looked at, then a model is asked about them; what is done is kept until all is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgeai.errors import DocumentError
from edgeai.notes.journal import Journal
from edgeai.review.answers import deck_remarks, new_ones, slide_remarks
from edgeai.review.asking import Asker, Question
from edgeai.review.between import differing
from edgeai.review.checks import measured, without_furniture
from edgeai.review.deck import Deck, Slide
from edgeai.review.looking import looked_at
from edgeai.review.remarks import Remark
from edgeai.review.rules import Rules
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.documents.types import OcrMode
    from edgeai.notes.steps import StepProgress
    from edgeai.review.process import FoundSlide

_VERSION = "review 1"


@contextmanager
def journal_of(deck: Deck) -> Iterator[Journal]:
    """What is kept of the work on a deck; who has finished it takes it away with `remove`.

    Raises:
        DocumentError: another process reviews the same deck.
    """
    with Journal(hashlib.sha256(f"{_VERSION} {deck.sha256}".encode()).hexdigest()[:32]) as journal:
        try:
            yield journal
        finally:
            if journal.is_empty:
                journal.remove()


def look(deck: Deck, ocr: OcrMode, journal: Journal, on_slide: Callable[[int], object]) -> list[Slide]:
    """All slides, looked at.

    Args:
        deck: the deck.
        ocr: slides whose writing is recognised; see `edgeai.documents.scans.possible`.
        journal: of this deck.
        on_slide: told how many are done.
    Raises:
        DocumentError: it cannot be read, or nothing is written on any slide that could be.
    """
    from edgeai.documents.scans import advice

    slides = []
    for found in deck.slides():
        slides.append(looked_at(found, ocr, journal))
        on_slide(len(slides))
    if not any(slide.lines for slide in slides):
        raise DocumentError(f"{one_line(str(deck.path))}: no slide has any text: expected some; {advice(ocr)}")
    return without_furniture(slides)


def measured_remarks(slides: Sequence[Slide], rules: Rules) -> list[Remark]:
    """All that is measured: on each slide, and between them."""
    return [*(remark for slide in slides for remark in measured(slide, rules)), *differing(slides, rules)]


def model_remarks(
    asker: Asker,
    questions: Sequence[Question],
    pictures: Iterable[FoundSlide],
    on_progress: Callable[[StepProgress], None],
) -> Iterator[tuple[Question, list[Remark]]]:
    """The model's remarks that hold, question by question.

    Args:
        asker: asks the model.
        questions: about the slides in their order, then about several at once.
        pictures: the slides with their pictures, in their order; may be none.
        on_progress: told how far it is.
    """
    shown = iter(pictures)
    said: set[str] = set()
    for number, question in enumerate(questions, 1):
        picture = None
        if question.has_picture:
            wanted = question.slides[0].number
            picture = next((found.picture for found in shown if found.number == wanted), None)
        answer = asker.answer(question, number, picture, on_progress)
        if len(question.slides) == 1:
            found = slide_remarks(answer, question.slides[0], question.told, asker.kinds)
        else:
            found = deck_remarks(answer, question.slides, question.told)
        yield question, new_ones(found, said)
