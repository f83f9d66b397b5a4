"""Documents for the tests, made by the libraries that others make them with, or by hand; and how they are read here."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from pathlib import Path

import msgspec

from edgeai.documents.reading.child import read_bytes
from edgeai.documents.reading.kinds import expected_kind
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.process import Content, _Gathered
from edgeai.documents.reading.sniff import Hints
from edgeai.documents.reading.wire import Began, Finished, Parts
from tests.documents.pdf_files import pdf

TITLE = "取扱説明書 Manual"
HEADING = "第1章 電源"
TEXT = "電源ボタンを三秒押します。Press it for three seconds."
ROWS = (("品名", "数量"), ("ねじ M4", "12"), ("a|b", "7"))
CODE = "def 電源():\n    return 3"


def read_here(data: bytes, name: str, password: str | None = None) -> Content:
    """Read in this process, unprotected, with the checks of the parent's side."""
    sent: list[msgspec.Struct] = []
    hints = Hints(expected_kind(name), Path(name).suffix.lower(), password)
    read_bytes(data, hints, Output(sent.append))
    began, finished = sent[0], sent[-1]
    assert isinstance(began, Began)
    assert isinstance(finished, Finished)
    gathered = _Gathered(began.n_pages)
    for message in sent:
        if isinstance(message, Parts):
            assert not gathered.take(message.parts)
    scans = tuple(finished.pages_without_text)
    return Content(began.kind, finished.title, tuple(gathered.blocks), began.n_pages, scans)


def whole(content: Content) -> str:
    """All text, a block a paragraph."""
    return "\n\n".join(block.text for block in content.blocks)


def zipped(members: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def changed(package: bytes, name: str, data: bytes | str) -> bytes:
    """A ZIP archive with another member, or another content of one."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        members: dict[str, bytes | str] = {entry: archive.read(entry) for entry in archive.namelist()}
    return zipped({**members, name: data})


def docx() -> bytes:
    import docx as library

    document = library.Document()
    document.core_properties.title = TITLE
    document.add_heading(HEADING, 1)
    document.add_paragraph(TEXT)
    document.add_heading("Parts 部品", 2)
    table = document.add_table(rows=0, cols=2)
    for row in ROWS:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.add_paragraph("first", style="List Bullet")
    return _saved(document)


def pptx() -> bytes:
    import pptx as library

    show = library.Presentation()
    show.core_properties.title = TITLE
    slide = show.slides.add_slide(show.slide_layouts[1])
    assert slide.shapes.title is not None
    slide.shapes.title.text = HEADING
    slide.placeholders[1].text = TEXT
    assert slide.notes_slide.notes_text_frame is not None
    slide.notes_slide.notes_text_frame.text = "発表者のメモ"
    second = show.slides.add_slide(show.slide_layouts[6])
    table = second.shapes.add_table(len(ROWS), 2, 0, 0, 5_000_000, 1_000_000).table
    for number, row in enumerate(ROWS):
        for column, text in enumerate(row):
            table.cell(number, column).text = text
    third = show.slides.add_slide(show.slide_layouts[6])
    third.shapes.add_shape(1, 0, 0, 100_000, 100_000)
    return _saved(show)


def xlsx() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.properties.title = TITLE
    first = book.active
    first.title = "在庫"
    for row in ROWS:
        first.append(row)
    first.append(())
    first.append(("Year", "Total"))
    first.append((2024, 3.5))
    book.create_sheet("空")
    book.create_sheet("Third").append(("only", TEXT))
    return _saved(book)


def epub(**changes: bytes | str) -> bytes:
    """`changes`: other contents of `page1`, `opf`, or more members by their path."""
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body>{}</body></html>'
    nav = '<nav><ol><li><a href="two.xhtml#x">第2章 Care</a></li></ol></nav>'
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f'<dc:title>{TITLE}</dc:title></metadata><manifest><item id="n" href="nav.xhtml" properties="nav" '
        'media-type="application/xhtml+xml"/><item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="text%20one.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    members: dict[str, bytes | str] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        "OPS/book.opf": opf,
        "OPS/nav.xhtml": page.format(nav),
        "OPS/text one.xhtml": page.format(f"<h1>{HEADING}</h1><p>{TEXT}</p>"),
        "OPS/two.xhtml": page.format("<p>Second page.</p>"),
    }
    return zipped({**members, **changes})


def html(charset: str = "utf-8") -> bytes:
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in ROWS)
    return (
        f"<!DOCTYPE html><html><head><meta charset={charset}><title>{TITLE}</title><script>let evil = 1</script>"
        f"<style>b {{}}</style></head><body><nav><a href=x>Home</a></nav><h1>{HEADING}</h1><p>{TEXT}</p>"
        f"<table>{rows}</table><ul><li>one<li>two<ol><li>inner</ol></ul><pre><code>{CODE}</code></pre></body></html>"
    ).encode(charset)


def eml() -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", TITLE
    mail["Date"] = "Mon, 01 Apr 2024 10:00:00 +0900"
    mail.set_content(TEXT, charset="iso-2022-jp")
    mail.add_alternative(f"<p>{TEXT} as HTML</p>", subtype="html")
    mail.add_attachment(b"\0secret", maintype="application", subtype="pdf", filename="添付.pdf")
    return mail.as_bytes()


def manual_pdf() -> bytes:
    lines = ["1.2 " + "Power", "", TEXT, "", "Unplug it (first)."]
    outline = [("Power", 1), (HEADING, 2), ("Nowhere", 3)]
    return pdf([lines, [HEADING, "", "Second page."], ["Third."], []], outline=outline, title=TITLE)


def notebook() -> bytes:
    code = {
        "cell_type": "code",
        "source": ["x = 1\n", "print(x)"],
        "outputs": [{"text": ["1\n"]}, {"data": {"image/png": "AAAA"}}],
    }
    cells = [{"cell_type": "markdown", "source": [f"# {HEADING}\n", "\n", TEXT]}, code]
    return json.dumps({"nbformat": 4, "cells": cells}).encode()


ALL: dict[str, Callable[[], bytes]] = {
    "a.pdf": manual_pdf,
    "a.docx": docx,
    "a.pptx": pptx,
    "a.xlsx": xlsx,
    "a.epub": epub,
    "a.html": html,
    "a.eml": eml,
    "a.md": lambda: f"# {HEADING}\n\n{TEXT}\n".encode(),
    "a.txt": lambda: f"{HEADING}\n\n{TEXT}\n".encode("cp932"),
    "a.csv": lambda: "\n".join(",".join(row) for row in (*ROWS, (TEXT, "1"))).encode("utf-16"),
    "a.json": lambda: f'{{"text": "{TEXT}"}}'.encode(),
    "a.jsonl": lambda: f'{{"text": "{TEXT}"}}\n{{"b": 2}}\n'.encode(),
    "a.ipynb": lambda: notebook(),
    "a.py": lambda: f"# {TEXT}\n{CODE}\n".encode(),
}
"""A file of each kind that holds TEXT."""


def _saved(library_object: object) -> bytes:
    buffer = io.BytesIO()
    library_object.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()
