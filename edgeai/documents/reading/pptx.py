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
    """Hand over a slide; False if it holds shapes and none has text."""
    title = slide.shapes.title
    words = title.text_frame.text.strip() if title is not None else ""
    shapes = [shape for shape in all_shapes(slide.shapes) if title is None or shape.shape_id != title.shape_id]
    contents = [content for content in map(_content, shapes) if content]
    notes = notes_of(slide)
    if words or contents or notes:
        out.heading(1, words or f"Slide {out.page}")  # else it would stand under the heading of the slide before
    for content in contents:
        if isinstance(content, str):
            out.text(content)
        else:
            out.table(content)
    if notes:
        out.heading(2, "Notes")
        out.text(notes)
    return bool(words or contents or notes or not shapes)


def _content(shape: Any) -> str | list[list[str]]:
    """A shape's text, or its table."""
    if getattr(shape, "has_table", False):
        return [[cell.text for cell in row.cells] for row in shape.table.rows]
    return _paragraphs(shape.text_frame.paragraphs) if getattr(shape, "has_text_frame", False) else ""


def notes_of(slide: Any) -> str:
    """What the speaker has noted down."""
    if not slide.has_notes_slide or slide.notes_slide.notes_text_frame is None:
        return ""
    return str(slide.notes_slide.notes_text_frame.text).strip()


def all_shapes(shapes: Iterable[Any]) -> Iterator[Any]:
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
