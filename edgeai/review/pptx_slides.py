"""The slides of a presentation, by python-pptx: lines with the size of their letters, tables, notes; no picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeai.documents.reading.package import office
from edgeai.documents.reading.pptx import all_shapes, notes_of
from edgeai.errors import DocumentError
from edgeai.review.pptx_sizes import Sizes
from edgeai.review.wire import MAX_LINE_CHARS, MAX_LINES, MAX_NOTES_CHARS, Job, RawLine, RawSlide

_EMU_A_POINT = 12_700
_FURNITURE = (13, 15, 16)
"""python-pptx's PP_PLACEHOLDER: slide number, footer, date, which nobody reads from afar."""


def slides(data: bytes, job: Job) -> Iterator[int | RawSlide]:
    """The number of slides, then those that are wanted."""
    import pptx

    show = pptx.Presentation(office(data))
    every = list(show.slides)
    if not every:
        raise DocumentError("it has no slides: expected a deck with some; save it again")
    yield len(every)
    height = (show.slide_height or 0) / _EMU_A_POINT
    for number, slide in enumerate(every[job.first - 1 : job.last], job.first):
        shapes = [shape for shape in all_shapes(slide.shapes) if not _is_furniture(shape)]
        title = slide.shapes.title
        first = [] if title is None else [shape for shape in shapes if shape.shape_id == title.shape_id]
        rest = [shape for shape in shapes if shape not in first]
        lines = [line for shape in (*first, *rest) for line in _lines(shape, show)]
        yield RawSlide(
            number,
            min(max(height, 0), 1e6),
            lines[:MAX_LINES],
            notes_of(slide)[:MAX_NOTES_CHARS],
            has_pictures=any(hasattr(shape, "image") for shape in shapes),
            is_hidden=slide._element.get("show") in ("0", "false"),
        )


def _is_furniture(shape: Any) -> bool:
    return bool(shape.is_placeholder) and shape.placeholder_format.type in _FURNITURE


def _lines(shape: Any, show: Any) -> Iterator[RawLine]:
    sizes = Sizes(shape, show)
    if getattr(shape, "has_table", False):
        for row in shape.table.rows:
            text = " | ".join(" ".join(cell.text.split()) for cell in row.cells)
            found = [
                size
                for cell in row.cells
                for paragraph in cell.text_frame.paragraphs
                if (size := sizes.of_paragraph(paragraph))
            ]
            if text.strip(" |"):
                yield RawLine(text[:MAX_LINE_CHARS], min(found, default=0.0))
    elif getattr(shape, "has_text_frame", False):
        for paragraph in shape.text_frame.paragraphs:
            for line in paragraph.text.split("\x0b"):
                if words := " ".join(line.split()):
                    yield RawLine(words[:MAX_LINE_CHARS], sizes.of_paragraph(paragraph))
