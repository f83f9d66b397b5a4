"""Decks for the tests: PDFs with letters of any size and grey, and presentations.

Source of the PDFs' form: ISO 32000-1, sections 7.7.3 (pages), 8.4, 9.3 and 9.4 (graphics and text state).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 960, 540
"""Points."""

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa"


@dataclass(frozen=True, slots=True)
class Text:
    """A line of a slide. `size`: points; `grey`: 0 is black, 255 white; on a ground of `ground`."""

    words: str
    size: float = 24
    grey: int = 0


def title(words: str) -> Text:
    """Large."""
    return Text(words, 36)


def long_slide(n_words: int) -> list[Text]:
    """A title, and so many words besides in lines of ten, whose letters are large enough."""
    words = (WORDS.split() * (n_words // 10 + 1))[:n_words]
    return [title("Everything"), *(Text(" ".join(words[at : at + 12]), 16) for at in range(0, n_words, 12))]


def pdf_deck(
    slides: Sequence[Sequence[Text]], *, size: tuple[float, float] = (WIDTH, HEIGHT), ground: int = 255
) -> bytes:
    """A PDF.

    Args:
        slides: lines of each, from the top.
        size: of the pages, points; what stands on them grows with it.
        ground: the grey of the pages.
    """
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(slides)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(slides)}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    scale = size[1] / HEIGHT
    for number, slide in enumerate(slides):
        content = _content(slide, size, scale, ground)
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {size[0]} {size[1]}]/Resources<</Font<</A 3 0 R>>>>"
        objects.append(f"{page}/Contents {5 + 2 * number} 0 R>>".encode())
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, each) for number, each in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer\n<</Root 1 0 R/Size %d>>\n" % (len(objects) + 1)


def _content(slide: Sequence[Text], size: tuple[float, float], scale: float, ground: int) -> bytes:
    parts = [f"{ground / 255:.4f} g 0 0 {size[0]} {size[1]} re f {scale} 0 0 {scale} 0 0 cm"]
    at = HEIGHT - 30.0
    for text in slide:
        at -= 1.3 * text.size
        words = text.words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        parts.append(f"BT {text.grey / 255:.4f} g /A {text.size} Tf 40 {at} Td ({words}) Tj ET")
    return "\n".join(parts).encode("cp1252")


def pptx_deck(slides: Sequence[tuple[str, Sequence[Text]]], *, notes: str = "", hidden: Sequence[int] = ()) -> bytes:
    """A presentation: titles, and text boxes with letters of given sizes. `hidden`: numbers of hidden slides."""
    import pptx
    from pptx.util import Pt

    show = pptx.Presentation()
    for number, (words, texts) in enumerate(slides, 1):
        slide: Any = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = words
        for at, text in enumerate(texts):
            box = slide.shapes.add_textbox(Pt(40), Pt(120 + 40 * at), Pt(600), Pt(40))
            run = box.text_frame.paragraphs[0].add_run()
            run.text, run.font.size = text.words, Pt(text.size)
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
        if number in hidden:
            slide._element.set("show", "0")
    data = io.BytesIO()
    show.save(data)
    return data.getvalue()
