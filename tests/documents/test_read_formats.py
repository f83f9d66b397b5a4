"""What stands in documents comes back: text, headings, tables, pages, lines. The makers in files.py know what."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.documents.reading import tables
from edgeai.documents.types import Block
from edgeai.errors import DocumentError
from tests.documents import files
from tests.documents.files import ALL, CODE, HEADING, TEXT, TITLE, read_here, whole
from tests.documents.pdf_files import pdf

TABLE = "| 品名 | 数量 |\n| --- | --- |\n| ねじ M4 | 12 |\n| a\\|b | 7 |"
NATIVE = ("docx", "pptx", "xlsx", "epub", "html")


@pytest.mark.parametrize("name", ALL)
def test_the_text_comes_back(name: str) -> None:
    assert TEXT in whole(read_here(ALL[name](), name))


@pytest.mark.parametrize("suffix", NATIVE)
def test_title_and_headings(suffix: str) -> None:
    content = read_here(ALL[f"a.{suffix}"](), f"a.{suffix}")
    assert content.title == TITLE
    if suffix != "xlsx":
        assert content.blocks[0] == Block(HEADING, "heading", content.blocks[0].page)
        assert content.blocks[1].headings == (HEADING,)


@pytest.mark.parametrize("suffix", ["docx", "pptx", "xlsx", "html"])
def test_tables_are_markdown(suffix: str) -> None:
    blocks = read_here(ALL[f"a.{suffix}"](), f"a.{suffix}").blocks
    assert next(block.text for block in blocks if block.kind == "table") == TABLE


@pytest.mark.parametrize("suffix", ["txt", "bin", "py", ""])
def test_the_content_decides_and_not_the_name(suffix: str) -> None:
    for name in ("a.pdf", "a.docx", "a.pptx", "a.xlsx", "a.epub"):
        assert read_here(ALL[name](), f"x.{suffix}").kind == name[2:]


def test_html_and_mail_are_known_without_a_name() -> None:
    assert read_here(files.html(), "page").kind == "html"
    assert read_here(files.eml(), "message").kind == "eml"
    assert read_here(files.html(), "page.md").kind == "markdown"  # which may hold HTML


def test_pdf_pages_outline_and_scans() -> None:
    content = read_here(files.manual_pdf(), "a.pdf")
    assert (content.title, content.n_pages, content.pages_without_text) == (TITLE, 4, (4,))
    assert [(block.text, block.kind, block.page, block.headings) for block in content.blocks] == [
        ("1.2 Power", "heading", 1, ()),
        (f"{TEXT}\nUnplug it (first).", "text", 1, ("1.2 Power",)),
        (HEADING, "heading", 2, ()),
        ("Second page.", "text", 2, (HEADING,)),
        ("Nowhere", "heading", 3, ()),
        ("Third.", "text", 3, ("Nowhere",)),
    ]


def test_pdf_paragraphs_are_what_gaps_separate() -> None:
    lines = ["One a", "one b", "one c", "", "Two a", "two b", "two c"]
    blocks = read_here(pdf([lines]), "a.pdf").blocks
    assert [block.text for block in blocks] == ["One a\none b\none c", "Two a\ntwo b\ntwo c"]


def test_pdf_with_a_password() -> None:
    data = pdf([["Secret text"]], password="pass", title=TITLE)
    assert whole(read_here(data, "a.pdf", "pass")) == "Secret text"
    with pytest.raises(DocumentError, match=r"encrypted: expected its password; give it with --password"):
        read_here(data, "a.pdf")
    with pytest.raises(DocumentError, match=r"the given password is wrong: expected its password"):
        read_here(data, "a.pdf", "wrong")


def test_docx_parts_that_libraries_forget() -> None:
    import docx
    from docx.oxml import parse_xml

    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    document = docx.Document()
    body = document.element.body
    deleted = "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
    for xml in (
        f"<w:p {{}}><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>{deleted}</w:p>",
        "<w:sdt {}><w:sdtContent><w:p><w:r><w:t>in</w:t><w:tab/><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        '<w:p {}><w:pPr><w:outlineLvl w:val="1"/></w:pPr><w:r><w:t>Outlined</w:t></w:r></w:p>',
        '<w:p {}><w:pPr><w:numPr><w:ilvl w:val="1"/></w:numPr></w:pPr><w:r><w:t>item</w:t></w:r></w:p>',
    ):
        body.insert(len(body) - 1, parse_xml(xml.format(namespace)))
    buffer = io.BytesIO()
    document.save(buffer)
    texts = [block.text for block in read_here(buffer.getvalue(), "a.docx").blocks]
    assert texts == ["inserted", "in\tcontrol", "Outlined", "  - item"]


def test_pptx_slides_notes_and_pictures() -> None:
    content = read_here(files.pptx(), "a.pptx")
    assert (content.n_pages, content.pages_without_text) == (3, (3,))
    notes = next(block for block in content.blocks if block.text == "発表者のメモ")
    assert (notes.page, notes.headings) == (1, (HEADING, "Notes"))
    assert next(block for block in content.blocks if block.kind == "table").headings == ("Slide 2",)


def test_xlsx_sheets_and_tables() -> None:
    content = read_here(files.xlsx(), "a.xlsx")
    assert content.n_pages == 3
    found = [(block.page, block.text) for block in content.blocks if block.kind == "table"]
    assert found[:2] == [(1, TABLE), (1, "| Year | Total |\n| --- | --- |\n| 2024 | 3.5 |")]
    assert found[2] == (3, f"| only | {TEXT} |\n| --- | --- |")


@pytest.mark.parametrize("n_rows", [1, 2, 200, 201, 202, 401, 402, 1000])
def test_a_long_sheet_comes_in_pieces_and_every_row_once(n_rows: int) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for number in range(n_rows):
        book.active.append((f"row {number}", number))
    buffer = io.BytesIO()
    book.save(buffer)
    tables = [block.text.split("\n") for block in read_here(buffer.getvalue(), "a.xlsx").blocks[1:]]
    assert all(table[:2] == ["| row 0 | 0 |", "| --- | --- |"] for table in tables)
    rows = [row for table in tables for row in table[2:]]
    assert rows == [f"| row {number} | {number} |" for number in range(1, n_rows)]


def test_epub_reads_the_spine_in_order_and_names_chapters() -> None:
    blocks = read_here(files.epub(), "a.epub").blocks
    assert [block.text for block in blocks] == [HEADING, TEXT, "第2章 Care", "Second page."]


def test_html_keeps_what_is_read_and_leaves_out_the_rest() -> None:
    content = read_here(files.html(), "a.html")
    assert [block.text for block in content.blocks] == [HEADING, TEXT, TABLE, "- one\n- two\n  1. inner", CODE]
    page = (
        b"<p>a<b>b</b>c<br>d</p><div style='display: none'>x</div><p>\xe6\xbc\xa2<ruby>\xe5\xad\x97<rt>ji</rt></ruby>"
    )
    assert whole(read_here(page, "a.html")) == "abc\nd\n\n漢字"


@pytest.mark.parametrize("charset", ["shift_jis", "euc-jp", "iso-2022-jp", "utf-8"])
def test_html_in_the_encoding_that_it_declares(charset: str) -> None:
    assert TEXT in whole(read_here(files.html(charset), "a.html"))


def test_mail_reads_the_plain_body_and_opens_no_attachment() -> None:
    content = read_here(files.eml(), "a.eml")
    text = whole(content)
    assert content.title == TITLE
    assert f"Subject: {TITLE}" in text
    assert "- 添付.pdf (application/pdf, not opened)" in text
    assert "secret" not in text
    assert "as HTML" not in text


def test_mail_with_an_html_body_alone() -> None:
    mail = b"From: a@b.c\nSubject: x\nContent-Type: text/html; charset=euc-jp\n\n<p>" + "電源です".encode("euc-jp")
    assert read_here(mail, "a.eml").blocks[-1].text == "電源です"


MARKDOWN = """---
title: front
---
Title
=====

para one
para two
# Sub #
```py
# no heading

x
```
| a | b |
|---|:-:|
| 1 | 2 |
after
- - -
"""


def test_markdown_blocks_and_lines() -> None:
    content = read_here(MARKDOWN.encode(), "a.md")
    assert content.title == "Title"
    assert [(block.kind, block.line, block.text) for block in content.blocks] == [
        ("code", 1, "---\ntitle: front\n---"),
        ("heading", 4, "Title"),
        ("text", 7, "para one\npara two"),
        ("heading", 9, "Sub"),
        ("code", 10, "```py\n# no heading\n\nx\n```"),
        ("table", 15, "| a | b |\n|---|:-:|\n| 1 | 2 |"),
        ("text", 18, "after\n- - -"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_dialects(delimiter: str) -> None:
    data = f'n{delimiter}"t"\n1{delimiter}"two\nlines, ""q"""\n\n2{delimiter}x\n'.encode()
    first, second = read_here(data, "a.csv").blocks  # as rows of several lines would hide the line of the next one
    assert (first.text, first.line) == ('| n | t |\n| --- | --- |\n| 1 | two lines, "q" |', 1)
    assert (second.text, second.line) == ("| n | t |\n| --- | --- |\n| 2 | x |", 5)


def test_long_tables_come_in_pieces_with_their_head_and_lines() -> None:
    data = "n,square\n" + "".join(f"{n},{n * n}\n" for n in range(1, 2501))
    blocks = read_here(data.encode(), "a.csv").blocks
    assert len(blocks) > 10
    rows = {}
    for block in blocks:
        head, rule, *lines = block.text.split("\n")
        assert (head, rule) == ("| n | square |", "| --- | --- |")
        assert block.line is not None
        first = block.line if block.line > 1 else 2
        rows.update({first + number: line for number, line in enumerate(lines)})
    assert rows == {n + 1: f"| {n} | {n * n} |" for n in range(1, 2501)}


def test_json_is_legible() -> None:
    value = {"text": TEXT, "list": list(range(300))}
    blocks = read_here(json.dumps(value).encode(), "a.json").blocks  # one line, with escapes
    assert json.loads("\n".join(block.text for block in blocks)) == value
    assert TEXT in blocks[0].text
    commented = b'{\n  // a comment\n  "a": 1,\n}'
    assert whole(read_here(commented, "a.json")) == commented.decode()


def test_jsonl_records_keep_their_lines() -> None:
    blocks = read_here("".join(json.dumps({"n": n, "t": TEXT}) + "\n" for n in range(100)).encode(), "a.jsonl").blocks
    for block in blocks:
        assert block.line is not None
        for number, line in enumerate(block.text.split("\n")):
            assert json.loads(line) == {"n": block.line + number - 1, "t": TEXT}


def test_notebooks_are_their_cells_without_pictures() -> None:
    blocks = read_here(files.notebook(), "a.ipynb").blocks
    assert [(block.kind, block.text, block.line) for block in blocks] == [
        ("heading", HEADING, None),
        ("text", TEXT, None),
        ("code", "x = 1\nprint(x)", None),
        ("code", "1", None),
    ]


LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp"))), max_size=40)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py"])
@given(lines=LINES, padding=st.integers(0, 900))
@settings(max_examples=60, deadline=None)
def test_lines_are_those_of_the_file(name: str, lines: list[str], padding: int) -> None:
    lines = [*lines, "x" * padding, "end"]
    found: dict[int, str] = {}
    for block in read_here("\r\n".join(lines).encode(), name).blocks:
        assert block.line is not None
        if block.kind != "heading":  # which are tidied up
            found |= {block.line + number: line for number, line in enumerate(block.text.split("\n"))}
    for number, line in found.items():
        assert lines[number - 1] == line
    if name != "a.md":
        assert {n for n, line in enumerate(lines, 1) if line.strip()} <= set(found)


def test_one_endless_line_is_cut_and_nothing_is_lost() -> None:
    text = " ".join(f"word{n}" for n in range(20_000))
    blocks = read_here(text.encode(), "a.txt").blocks
    assert max(len(block.text) for block in blocks) <= 20_000
    assert "".join(block.text for block in blocks).replace(" ", "") == text.replace(" ", "")


def test_controls_and_surrogates_do_not_pass() -> None:
    text = whole(read_here(b'{"a": "\\ud800 \\u0000 \\u202e \\u001b[31mred"}', "a.json"))
    assert "red" in text
    assert not set("\ud800\0\u202e\x1b") & set(text)


def test_rows_of_a_table_may_be_uneven() -> None:
    (made,) = tables.markdown([["a", "b", ""], ["1"], ["x\ny", "|", "z", ""]])
    assert made[0] == "| a | b |\n| --- | --- |\n| 1 |\n| x y | \\| | z |"


def test_no_cell_is_lost_however_wide_a_table_is() -> None:
    row = [""] * 16_384
    row[0], row[700], row[16_383] = "first", "middle", "last"
    ((table, _),) = list(tables.markdown([["head"], row]))
    line = table.splitlines()[-1]
    assert line.startswith("| first |")
    assert line.endswith("| middle / last |")
    assert line.count("|") == 501
