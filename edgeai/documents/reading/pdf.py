"""PDF, by PDFium: the text of each page in its order; the outline's entries are the headings."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from edgeai.documents.reading.output import Output
from edgeai.documents.reading.pdf_scan import scan
from edgeai.documents.reading.sniff import Hints
from edgeai.documents.types import OcrMode
from edgeai.errors import DocumentError

_MAX_OUTLINE = 20_000
_MAX_PAGE_CHARS = 5_000_000
_MAX_PAGE_HEADINGS = 200
_PARAGRAPH_GAP = 1.45  # of the usual distance of lines
_MAX_PREFIX = 12  # characters of a heading's number that its outline entry lacks
_HYPHENS = re.compile("(?:\ufffe|\x02)\r?\n?")  # where PDFium found a word broken at a line's end

Outline = dict[int, list[tuple[int, str]]]
"""By page, from 0: level and title of the entries that lead there."""


def read(data: bytes, out: Output, hints: Hints) -> None:
    """Paragraphs page by page."""
    document = opened(data, hints.password)
    out.n_pages = len(document)
    if not out.n_pages:
        raise DocumentError("it has no pages: expected a PDF with some; fetch it again")
    out.title = (document.get_metadata_value("Title") or "").strip()
    outline = _outline(document)
    for index in range(out.n_pages):
        out.page = index + 1
        _page(document, index, outline.get(index, []), out, hints.ocr)
        out.progress(index + 1, out.n_pages)


def opened(data: bytes, password: str | None) -> Any:
    """PDFium's document.

    Raises:
        DocumentError: it is encrypted or damaged.
    """
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data, password=password)
    except pypdfium2.PdfiumError as exc:
        if getattr(exc, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD or "password" in str(exc).lower():
            problem = "the given password is wrong" if password else "it is encrypted"
            words = f"{problem}: expected its password; give it with --password (password=…)"
            raise DocumentError(words, needs_password=True) from exc
        raise DocumentError(
            f"damaged or cut short ({_reason(exc)}): expected a whole PDF; fetch it again, or print it to PDF anew"
        ) from exc


def _reason(error: Exception) -> str:
    """PDFium's own words, without those that pypdfium2 puts around them."""
    words = str(error).strip().rstrip(".")
    return words.partition("(PDFium: ")[2].removesuffix(")") or words


def _outline(document: Any) -> Outline:
    """The outline; without it where it is broken, as the text can be read all the same."""
    found: Outline = collections.defaultdict(list)
    for number, entry in enumerate(document.get_toc()):
        if number >= _MAX_OUTLINE:
            break
        target = entry.get_dest()
        index = target.get_index() if target else None
        if index is not None:
            found[index].append((entry.level + 1, " ".join(entry.get_title().split())))
    return found


def _page(document: Any, index: int, headings: list[tuple[int, str]], out: Output, ocr: OcrMode) -> None:
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError:  # one broken page is no reason to lose the others
        out.pages_without_text.append(index + 1)
        return
    text_page = page.get_textpage()
    lines = [] if ocr == "always" else _lines(text_page)
    _blocks(lines, headings, out)
    if not lines and next(page.get_objects(max_depth=1), None) is not None:
        out.pages_without_text.append(index + 1)
        if ocr != "never":
            with contextlib.suppress(ValueError, ZeroDivisionError, pypdfium2.PdfiumError):  # a page of no size
                scan(page, out)
    text_page.close()
    page.close()


def _lines(text_page: Any) -> list[tuple[str, float | None]]:
    """The lines of a page, and how far each stands above the page's lower edge."""
    n_chars = text_page.count_chars()
    if n_chars > _MAX_PAGE_CHARS:
        raise DocumentError(
            f"a page has {n_chars:,} characters: expected at most {_MAX_PAGE_CHARS:,}; print the PDF anew"
        )
    text = text_page.get_text_range() if n_chars > 0 else ""
    found: list[tuple[str, float | None]] = []
    at = 0
    for line in text.split("\n"):
        words = line.rstrip("\r")
        if words.strip():
            found.append((words, _bottom(text_page, at + len(words) - len(words.lstrip()), n_chars)))
        at += len(line) + 1
    return found


def _bottom(text_page: Any, index: int, n_chars: int) -> float | None:
    import pypdfium2

    if index >= n_chars:
        return None
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    done = pypdfium2.raw.FPDFText_GetCharBox(text_page, index, left, right, bottom, top)
    return bottom.value if done else None


def _blocks(lines: list[tuple[str, float | None]], headings: list[tuple[int, str]], out: Output) -> None:
    """Hand over a page: an entry of the outline where its line stands, before the first line where none is found."""
    places, elsewhere = _places(lines, headings)
    for level, title in elsewhere:
        out.heading(level, title)
    paragraph: list[str] = []
    gaps = list(_gaps(lines))
    usual = _median([gap for gap in gaps if gap])
    skip = 0
    for number, (line, _) in enumerate(lines):
        if skip:
            skip -= 1
            continue
        if number in places or (paragraph and usual and gaps[number] > _PARAGRAPH_GAP * usual):
            out.text(_joined(paragraph))
            paragraph = []
        if number in places:
            level, title = places[number]
            n_lines = _n_lines(lines, number, title)
            out.heading(level, " ".join(words for words, _ in lines[number : number + n_lines]))
            skip = n_lines - 1
        else:
            paragraph.append(line)
    out.text(_joined(paragraph))


def _places(
    lines: list[tuple[str, float | None]], headings: list[tuple[int, str]]
) -> tuple[dict[int, tuple[int, str]], list[tuple[int, str]]]:
    """By line, the heading that begins there; and the headings that no line is."""
    found: dict[int, tuple[int, str]] = {}
    elsewhere: list[tuple[int, str]] = []
    at = 0
    for level, title in headings[:_MAX_PAGE_HEADINGS]:
        place = next((n for n in range(at, len(lines)) if _n_lines(lines, n, title)), None) if _bare(title) else None
        if place is None:
            elsewhere.append((level, title))
        else:
            found[place] = (level, title)
            at = place + _n_lines(lines, place, title)
    return found, elsewhere


def _n_lines(lines: list[tuple[str, float | None]], number: int, title: str) -> int:
    """How many lines, from this one on, are just this heading: 1, 2 or, where they are not, 0."""
    wanted, have = _bare(title), ""
    for n_lines in (1, 2):
        if number + n_lines > len(lines):
            break
        have += _bare(lines[number + n_lines - 1][0])
        if have.endswith(wanted) and len(have) <= len(wanted) + _MAX_PREFIX:
            return n_lines
    return 0


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _gaps(lines: list[tuple[str, float | None]]) -> Iterator[float]:
    """How far each line stands under the one before; a large number after a step to another column."""
    before: float | None = None
    for _, bottom in lines:
        if before is None or bottom is None:
            yield 0.0
        else:
            yield before - bottom if bottom <= before else 1e6 if bottom - before > 2 else 0.0
        before = bottom


def _joined(lines: list[str]) -> str:
    """A paragraph's lines, with the words that were broken at their ends whole again."""
    return _HYPHENS.sub("", "\n".join(lines))
