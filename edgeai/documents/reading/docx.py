"""Word documents: headings, paragraphs, lists, tables, text boxes and notes, in their order.

Source of the elements' names: ECMA-376, part 1, section 17.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from edgeai.documents.reading.output import Output
from edgeai.documents.reading.package import office
from edgeai.documents.reading.sniff import Hints

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_SKIPPED = {f"{_W}del", f"{_W}moveFrom", f"{_W}rPr", f"{_W}pPr", f"{_W}instrText", f"{_W}delText", _FALLBACK}
_MARKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING_NAME = re.compile(r"(?:heading|見出し|überschrift|titre)\s*([1-9])$", re.I)
_NOTES = ("footnotes", "endnotes")
_TELL = 200


def read(data: bytes, out: Output, hints: Hints) -> None:
    """The body, then foot- and endnotes."""
    import docx

    document = docx.Document(office(data))
    out.title = document.core_properties.title or ""
    levels, lists = _levels(document), _list_styles(document)
    body = document.element.body
    n_total = max(len(body), 1)
    for number, element in enumerate(_unwrapped(body)):
        if element.tag == f"{_W}tbl":
            _table(element, out)
        elif element.tag == f"{_W}p":
            _paragraph(element, levels, lists, out)
        if number % _TELL == 0:
            out.progress(min(number, n_total), n_total)
    _notes(document, out)


def _unwrapped(container: Any) -> Iterator[Any]:
    """Paragraphs and tables; content controls and accepted insertions are gone through."""
    for element in container:
        if element.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}moveTo", f"{_W}customXml", f"{_W}smartTag"):
            yield from _unwrapped(element)
        else:
            yield element


def _levels(document: Any) -> dict[str, int]:
    """The level of each style that makes headings, by its name or its outline level, its own or inherited."""
    own: dict[str, int] = {}
    parents: dict[str, str] = {}
    for style in document.styles.element:
        identity, name = style.get(f"{_W}styleId"), style.find(f"{_W}name")
        if identity is None or style.tag != f"{_W}style":
            continue
        parent = style.find(f"{_W}basedOn")
        if parent is not None:
            parents[identity] = parent.get(f"{_W}val") or ""
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        named = _HEADING_NAME.match((name.get(f"{_W}val") or "") if name is not None else "")
        if named:
            own[identity] = int(named[1])
        elif outline is not None:
            own[identity] = _number(outline) + 1
        elif name is not None and name.get(f"{_W}val") == "Title":
            own[identity] = 1
    for identity in parents:
        at, seen = identity, set()
        while at not in own and at in parents and at not in seen:
            seen.add(at)
            at = parents[at]
        if at in own:
            own.setdefault(identity, own[at])
    return {identity: level for identity, level in own.items() if level <= 9}


def _list_styles(document: Any) -> set[str]:
    """Styles whose paragraphs are items of a list."""
    return {
        style.get(f"{_W}styleId") or ""
        for style in document.styles.element
        if style.find(f"{_W}pPr/{_W}numPr") is not None
    }


def _number(element: Any) -> int:
    value = element.get(f"{_W}val") or ""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 9


def _paragraph(element: Any, levels: dict[str, int], lists: set[str], out: Output) -> None:
    text = _text(element)
    if not text.strip():
        return
    properties = element.find(f"{_W}pPr")
    style = properties.find(f"{_W}pStyle") if properties is not None else None
    outline = properties.find(f"{_W}outlineLvl") if properties is not None else None
    style_name = (style.get(f"{_W}val") or "") if style is not None else ""
    level = levels.get(style_name, 0)
    if outline is not None and _number(outline) < 9:
        level = _number(outline) + 1
    if level:
        out.heading(level, text)
        return
    numbered = properties.find(f"{_W}numPr") if properties is not None else None
    if numbered is not None or style_name in lists:
        depth = numbered.find(f"{_W}ilvl") if numbered is not None else None
        indent = min(_number(depth), 8) if depth is not None else 0
        text = "  " * indent + "- " + text
    out.text(text)


def _text(element: Any) -> str:
    """All text of an element, without what was deleted, and without the copy of text boxes for old programs."""
    parts: list[str] = []
    waiting = [element]
    while waiting:
        here = waiting.pop()
        if here.tag == f"{_W}t":
            parts.append(here.text or "")
        elif here.tag in _MARKS:
            parts.append(_MARKS[here.tag])
        elif here.tag == f"{_W}p" and parts:
            parts.append("\n")  # of a text box or a cell
            waiting += reversed(here)
        elif here.tag not in _SKIPPED:
            waiting += reversed(here)
    return "".join(parts)


def _table(element: Any, out: Output) -> None:
    rows = []
    for row in _unwrapped(element):
        if row.tag != f"{_W}tr":
            continue
        cells = []
        for cell in _unwrapped(row):
            if cell.tag == f"{_W}tc":
                cells.append(_text(cell))
                span = cell.find(f"{_W}tcPr/{_W}gridSpan")
                cells += [""] * (min(_number(span), 50) - 1 if span is not None else 0)
        if any(cell.strip() for cell in cells):
            rows.append(cells)
    if len(rows) == 1 and len(rows[0]) == 1:
        out.text(rows[0][0])
    else:
        out.table(rows)


def _notes(document: Any, out: Output) -> None:
    from docx.oxml import parse_xml

    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2]
        if kind not in _NOTES or relation.is_external:
            continue
        texts = [_text(note).strip() for note in parse_xml(relation.target_part.blob)]
        if any(texts):
            out.heading(1, kind.capitalize())
            for text in texts:
                out.text(text)
