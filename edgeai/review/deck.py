"""A deck's slides as they are reviewed: lines of text with their size and contrast, and the picture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgeai.documents.reading.limits import MAX_PAGES
from edgeai.errors import DocumentError, OptionError
from edgeai.review.process import FoundSlide, taken_apart
from edgeai.safe_text import one_line

HEIGHT_POINTS = 540.0
"""Of a slide, 7.5 inches, as PowerPoint makes them: sizes of letters are told as they would be on such a one."""

_MAX_TITLE_CHARS = 80
_LARGEST = 0.85  # of the largest letters of a slide: sizes of recognised lines differ by less


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text on a slide.

    Attributes:
        text: one line, hostile, never empty.
        points: the size of its letters on a slide HEIGHT_POINTS high; 0 where it is not known.
        contrast: of the letters against their ground, 1..21; None where it is not known.
        is_recognized: it was read from a picture; its letters are a little smaller than `points`.
    """

    text: str
    points: float = 0.0
    contrast: float | None = None
    is_recognized: bool = False


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide.

    Attributes:
        number: in its deck, from 1.
        lines: what is written on it.
        has_picture: it was drawn, and can be shown to a model.
    """

    number: int
    lines: tuple[Line, ...]
    has_picture: bool = False

    @property
    def title_line(self) -> Line | None:
        """The first of those with about the largest letters."""
        least = _LARGEST * max((line.points for line in self.lines), default=0.0)
        return next((line for line in self.lines if line.points >= least), None)

    @property
    def title(self) -> str:
        """What stands there, or its beginning."""
        return self.title_line.text[:_MAX_TITLE_CHARS].strip() if self.title_line else ""

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Deck:
    """A deck that is open.

    Attributes:
        path: the file.
        sha256: of it.
        numbers: of the slides that are reviewed.
        note: why they are not drawn; "" where they are.
        slides: reads them once, one after the other, as their file holds them.
    """

    path: Path
    sha256: str
    numbers: range
    note: str
    slides: Callable[[], Iterator[FoundSlide]]


@contextlib.contextmanager
def open_deck(
    path: Path,
    *,
    password: str | None = None,
    first: int = 1,
    last: int | None = None,
    max_slides: int = MAX_PAGES,
    draws: bool = True,
) -> Iterator[Deck]:
    """Open a PDF or a presentation, in a sandboxed process.

    Args:
        path: the file.
        password: of an encrypted PDF.
        first: slide.
        last: slide; None for the last of all.
        max_slides: that are wanted at once.
        draws: slides are drawn; those of a presentation by LibreOffice, where it is installed.
    Raises:
        DocumentError: it cannot be read. One line that names the file, what was expected and what to do.
        OptionError: it has no such slides.
    """
    wanted = (first, last or MAX_PAGES)
    with taken_apart(path, password=password, wanted=wanted, draws=draws) as taking:
        numbers = _numbers(path, taking.n_slides, first, last, max_slides)
        if taking.kind == "pdf":
            yield Deck(path, taking.sha256, numbers, "", taking.slides)
            return
        found = list(taking.slides())
        n_slides, sha256 = taking.n_slides, taking.sha256
    if not draws:
        yield Deck(path, sha256, numbers, "", lambda: iter(found))
        return
    with _drawn(path, found, n_slides) as (note, slides):
        yield Deck(path, sha256, numbers, note, slides)


def _numbers(path: Path, n_slides: int, first: int, last: int | None, max_slides: int) -> range:
    shown = one_line(str(path))
    if first > n_slides or (last is not None and last > n_slides):
        raise OptionError(f"{shown}: it has {n_slides:,} slides: expected --slides within 1-{n_slides}")
    numbers = range(first, (last or n_slides) + 1)
    if len(numbers) > max_slides:
        raise DocumentError(
            f"{shown}: {len(numbers):,} slides: expected at most {max_slides:,} at once; choose some "
            f"(--slides {first}-{first + max_slides - 1}), or raise max_slides in your rules"
        )
    return numbers


@contextlib.contextmanager
def _drawn(
    path: Path, found: list[FoundSlide], n_slides: int
) -> Iterator[tuple[str, Callable[[], Iterator[FoundSlide]]]]:
    """The slides of a presentation as LibreOffice draws them, with why it does not."""
    from edgeai.review.office import as_pdf, office_program

    if office_program() is None:
        yield "LibreOffice is not installed", lambda: iter(found)
        return
    if len(found) < n_slides:  # hidden slides that were not read would shift the pages
        with taken_apart(path) as taking:
            every = list(taking.slides())
    else:
        every = found
    shown = [slide.number for slide in every if not slide.is_hidden]
    with contextlib.ExitStack() as stack:
        pdf = stack.enter_context(as_pdf(path, n_slides))
        try:
            pages = pdf and stack.enter_context(taken_apart(pdf, draws=True))
        except DocumentError:
            pages = None
        if not pages or pages.n_slides != len(shown):
            yield "LibreOffice did not draw them", lambda: iter(found)
            return
        page_of = {number: page for page, number in enumerate(shown, 1)}
        yield "", lambda: _merged(found, page_of, pages.slides())


def _merged(found: list[FoundSlide], page_of: Mapping[int, int], pages: Iterator[FoundSlide]) -> Iterator[FoundSlide]:
    """Slides with the lines and the picture of their pages; hidden ones as they are."""
    for slide in found:
        if slide.number not in page_of:
            yield slide
            continue
        page = next(page for page in pages if page.number == page_of[slide.number])
        yield replace(page, number=slide.number, notes=slide.notes)
