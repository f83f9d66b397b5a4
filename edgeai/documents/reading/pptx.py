"""Presentations: each slide is a page; its title, texts, tables and the speaker's notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from edgeai.documents.reading.output import Output
from edgeai.documents.reading.package import office
from edgeai.documents.reading.sniff import Hints

_MAX_DEPTH = 50


def read(data: bytes, out: Output, hints: Hints) -> None:
    """The slides in the order in which they are shown."""
    import pptx

    show = pptx.Presentation(office(data))
    out.title = show.core_properties.title or ""
    slides = list(show.slides)
    out.n_pages = len(slides)
    for number, slide in enumerate(slides, 1):
        out.page = number
        if not _slide(slide, out):
            out.pages_without_text.append(number)
        out.progress(number, len(slides))


def _slide(slide: Any, out: Output) -> bool:
    """Hand over a slide; whether it has text, or is just blank."""
    title = slide.shapes.title
    has_text = title is not None and bool(title.text_frame.text.strip())
    out.heading(1, title.text_frame.text if has_text else f"Slide {out.page}")
    n_shapes = 0
    for shape in _shapes(slide.shapes):
        n_shapes += 1
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if getattr(shape, "has_table", False):
            out.table([[cell.text for cell in row.cells] for row in shape.table.rows])
            has_text = True
        elif getattr(shape, "has_text_frame", False):
            text = _paragraphs(shape.text_frame.paragraphs)
            out.text(text)
            has_text = has_text or bool(text)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text
        if notes.strip():
            out.heading(2, "Notes")
            out.text(notes)
            has_text = True
    return has_text or not n_shapes


def _shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    """Shapes, and those in groups of shapes."""
    waiting = [iter(shapes)]
    while waiting:
        shape = next(waiting[-1], None)
        if shape is None:
            waiting.pop()
        elif hasattr(shape, "shapes") and len(waiting) < _MAX_DEPTH:
            waiting.append(iter(shape.shapes))
        else:
            yield shape


def _paragraphs(paragraphs: Iterable[Any]) -> str:
    lines = []
    for paragraph in paragraphs:
        text = " ".join(paragraph.text.replace("\x0b", "\n").split(" ")).strip()
        if text:
            lines.append("  " * min(paragraph.level, 8) + ("- " if paragraph.level else "") + text)
    return "\n".join(lines)
