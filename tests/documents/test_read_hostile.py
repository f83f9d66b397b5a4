"""Files that are broken or mean harm: one clear line each, and never another exception."""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
from pathlib import Path

import pytest

from edgeai.documents.read import read_document
from edgeai.errors import DocumentError
from tests.documents import files
from tests.documents.files import ALL, TEXT, changed, docx, epub, pptx, read_here, whole, xlsx, zipped
from tests.documents.pdf_files import pdf

PACKAGES = {"a.docx": "word/document.xml", "a.pptx": "ppt/slides/slide1.xml", "a.xlsx": "xl/worksheets/sheet1.xml"}
BOMB = b"\0" * 2**25
HARMFUL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def refusal(data: bytes, name: str) -> str | None:
    """The one line that is said of a file that cannot be read; None where it is read, to text that does no harm."""
    try:
        content = read_here(data, name)
    except DocumentError as exc:
        text = str(exc)
    else:
        assert not HARMFUL.search(whole(content) + content.title)
        return None
    assert "\n" not in text
    assert "expected" in text
    assert ";" in text
    return text


def words(data: bytes, name: str) -> str:
    """What is said of a file that cannot be read."""
    text = refusal(data, name)
    assert text is not None
    return text


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.pptx", "a.xlsx", "a.epub"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files(name: str, share: float) -> None:
    data = ALL[name]()
    short = data[: int(len(data) * share)]
    if name == "a.pdf":  # PDFium finds the pages that are still there
        text = refusal(short, name)
        assert text is None or "damaged or cut short" in text or "no text" in text
    else:
        assert "damaged or cut short" in words(short, name)


def test_what_pdfium_says_stands_alone_between_brackets() -> None:
    assert words(b"%PDF-1.7\nnothing of a PDF", "a.pdf").startswith("damaged or cut short (Data format error): ")


@pytest.mark.parametrize("name", ALL)
def test_damaged_files_are_read_or_refused(name: str) -> None:
    data, chance = ALL[name](), random.Random(6)
    outcomes = []
    for _ in range(25):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 20)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        outcomes.append(refusal(bytes(broken), name))
    assert None in outcomes or name in ("a.docx", "a.pptx", "a.xlsx", "a.epub")
    assert any(outcomes)


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.pptx", "a.xlsx", "a.epub"])
def test_text_under_a_documents_name(name: str) -> None:
    assert f"it is called {name[1:]} and is none" in words(b"Please log in to download.", name)


def test_a_package_that_is_cut_in_the_middle() -> None:
    data = epub()
    gap = data.index(b"PK\x01\x02")  # the directory is there, the end of what it names is not
    assert "damaged or cut short" in words(data[: gap - 600] + data[gap:], "a.epub")


def test_other_kinds_are_named() -> None:
    assert "a program" in words(b"\x7fELF" + bytes(60), "a.txt")
    assert "PNG picture" in words(b"\x89PNG\r\n\x1a\n" + bytes(60), "a.txt")
    assert "binary" in words(bytes(range(256)), "notes.txt")
    assert "RTF" in words(b"{\\rtf1 hello}", "a.txt")
    assert "ZIP archive" in words(zipped({"a": "b"}), "a.txt")
    assert "OpenDocument" in words(zipped({"mimetype": "application/vnd.oasis.opendocument.text"}), "a.odt")
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
    assert "before 2007" in words(old, "a.doc")
    assert "encrypted" in words(old + "EncryptedPackage".encode("utf-16-le"), "a.docx")
    assert "no e-mail" in words(b"just text", "a.eml")


@pytest.mark.parametrize("name", PACKAGES)
def test_zip_bombs(name: str) -> None:
    assert "no zip bomb" in words(changed(ALL[name](), PACKAGES[name], BOMB), name)
    assert "no zip bomb" in words(changed(ALL[name](), "docProps/other.bin", BOMB), name)


def test_zip_bomb_in_an_epub() -> None:
    assert "no zip bomb" in words(epub(**{"OPS/two.xhtml": BOMB}), "a.epub")


def test_zip_bomb_of_many_entries() -> None:
    members = {f"word/{number}.xml": bytes(2**20) for number in range(40)}
    assert "no zip bomb" in words(zipped({"[Content_Types].xml": "x", **members}), "a.docx")


def test_a_package_that_lies_about_its_sizes() -> None:
    data = changed(docx(), "word/document.xml", BOMB)
    declared = struct.pack("<I", len(BOMB))
    assert "damaged or cut short" in words(data.replace(declared, struct.pack("<I", 1000)), "a.docx")


def test_packing_that_documents_never_use() -> None:
    with zipfile.ZipFile(io.BytesIO(docx())) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    assert "packed as documents never are" in words(zipped(members, zipfile.ZIP_LZMA), "a.docx")


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9)
)
ENTITIES = (
    '<?xml version="1.0"?>' + LAUGHS + "]><x>&j;</x>",
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    '<?xml version="1.0"?><!-- ' + "-" * 9000 + ' --><!DOCTYPE x [<!ENTITY % e SYSTEM "file:///etc/passwd"> %e;]><x/>',
)


@pytest.mark.parametrize("xml", ENTITIES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", PACKAGES)
def test_entities_in_office_files(name: str, encoding: str, xml: str) -> None:
    assert "XML entities" in words(changed(ALL[name](), PACKAGES[name], xml.encode(encoding)), name)


@pytest.mark.parametrize("xml", ENTITIES)
@pytest.mark.parametrize("member", ["META-INF/container.xml", "OPS/book.opf", "META-INF/encryption.xml"])
def test_entities_in_epub(member: str, xml: str) -> None:
    assert "XML entities" in words(epub(**{member: xml}), "a.epub")


def test_entities_in_a_page_of_an_epub_stay_text() -> None:
    page = '<!DOCTYPE html [<!ENTITY e SYSTEM "file:///etc/passwd">]><html><body><p>a &e; b</p></body></html>'
    assert "root:" not in whole(read_here(epub(**{"OPS/two.xhtml": page}), "a.epub"))


def test_a_locked_epub() -> None:
    lock = '<e><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></e>'
    assert "DRM" in words(epub(**{"META-INF/encryption.xml": lock}), "a.epub")
    fonts = '<e><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></e>'
    assert TEXT in whole(read_here(epub(**{"META-INF/encryption.xml": fonts}), "a.epub"))


def test_an_epub_that_leads_out_of_itself() -> None:
    opf = '<package><manifest><item id="a" href="../../../etc/passwd" media-type="text/html"/></manifest>{}</package>'
    spine = '<spine><itemref idref="a"/></spine>'
    assert "damaged" in words(epub(**{"OPS/book.opf": opf.format(spine)}), "a.epub")
    assert "no pages" in words(epub(**{"OPS/book.opf": opf.format("")}), "a.epub")


def test_deep_nesting() -> None:
    deep = 100_000
    assert whole(read_here(b"<div>" * 5_000 + b"deep" + b"</div>" * 5_000, "a.html")) == "deep"
    assert "deep" in whole(read_here(b"<ul><li>" * 5_000 + b"deep", "a.html"))
    assert "deep" in whole(read_here(b"<table><tr><td>" * 500 + b"deep", "a.html"))
    assert "[[[[" in whole(read_here(b"[" * deep + b"]" * deep, "a.json"))
    assert "damaged" in words(changed(docx(), "word/document.xml", "<a>" * deep + "</a>" * deep), "a.docx")
    assert "damaged" in words(changed(pptx(), "ppt/slides/slide1.xml", "<a>" * deep + "</a>" * deep), "a.pptx")


def test_a_mail_of_many_layers() -> None:
    mail = "From: a@b.c\nTo: b@c.d\nSubject: layers\n"
    for number in range(500):
        mail += f"Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n"
    assert whole(read_here((mail + "\nhello").encode(), "a.eml")).endswith("\n\nhello")


def test_a_sheet_that_claims_to_be_huge() -> None:
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
        '<sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="90000"><c r="B90000"><v>2</v></c></row></sheetData>'
        "</worksheet>"
    )
    found = read_here(changed(xlsx(), "xl/worksheets/sheet1.xml", sheet), "a.xlsx")
    assert [block.text for block in found.blocks if block.page == 1 and block.kind == "table"] == [
        "| 1 |\n| --- |",
        "|  | 2 |\n| --- | --- |",
    ]


def test_ten_thousand_pages() -> None:
    content = read_here(pdf([[f"Page {n}"] for n in range(1, 10_001)]), "a.pdf")
    assert content.n_pages == 10_000
    assert [(block.page, block.text) for block in content.blocks[::999]] == [
        (n, f"Page {n}") for n in range(1, 10_001, 999)
    ]


def test_an_outline_in_a_ring() -> None:
    data = files.manual_pdf()
    ring = data.replace(b"/Next 17 0 R", b"/Next 16 0 R")
    assert ring != data
    assert TEXT in whole(read_here(ring, "a.pdf"))


@pytest.mark.parametrize(
    "name", ["new\nline.txt", "emoji 😀.txt", "esc\x1b[31mape.txt", "\u202egnp.txt", "bytes\udcff.txt"]
)
def test_names_that_mean_harm(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(100))
    with pytest.raises(DocumentError) as caught:
        read_document(path)
    line = str(caught.value)
    assert "it is binary" in line
    assert not set("\n\x1b\u202e\udcff") & set(line)
    path.write_text("hello")
    document = read_document(path)
    assert (document.path, document.blocks[0].text) == (path, "hello")
    assert not set("\n\x1b\u202e\udcff") & set(document.title)
