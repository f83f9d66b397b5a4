"""Decks as files: how they are drawn and read, and those that cannot be."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgeai.errors import DocumentError, OptionError
from edgeai.notes.journal import Journal
from edgeai.review.deck import Slide, open_deck
from edgeai.review.looking import looked_at
from edgeai.review.review import journal_of, look, measured_remarks
from edgeai.review.rules import load_rules
from edgeai.vision import ocr
from tests.documents.pdf_files import pdf
from tests.review.decks import Text, pdf_deck, pptx_deck, title
from tests.vision.drawn_text import drawn

THREE = [[title(f"Slide {name}"), Text("Some words")] for name in ("one", "two", "three")]


def pages(pictures: list[Image.Image], dpi: float = 150) -> bytes:
    """A PDF whose pages are pictures."""
    file = io.BytesIO()
    pictures[0].save(file, "PDF", save_all=True, append_images=pictures[1:], resolution=dpi)
    return file.getvalue()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_slides_come_with_their_lines_and_pictures(tmp_path: Path) -> None:
    with open_deck(written(tmp_path / "deck.pdf", pdf_deck(THREE)), first=2, last=3) as deck:
        assert list(deck.numbers) == [2, 3]
        found = list(deck.slides())
    assert [slide.number for slide in found] == [2, 3]
    assert [line.text for line in found[0].lines] == ["Slide two", "Some words"]
    assert [round(line.points) for line in found[0].lines] == [36, 24]
    box = found[0].lines[0].box
    assert box is not None
    assert 0.03 < box[0] < 0.05 < box[1] < box[3] < 0.2
    picture = found[0].picture
    assert picture is not None
    assert picture.size == (2000, 1125)


def test_slides_without_text_are_read_by_recognition(tmp_path: Path) -> None:
    """Letters of 8 points are small there too; those of 30 are not. One line is grey."""
    if not ocr.is_installed():
        pytest.skip("needs the extra ocr")
    first = drawn(1500, 844, [(100, 100, "Readable heading")], 60)
    first.paste(drawn(1300, 40, [(0, 5, "letters that are far too small")], 13), (100, 400))
    grey = Image.blend(
        drawn(1500, 844, [(100, 300, "Light grey words")], 60), Image.new("RGB", (1500, 844), "white"), 0.75
    )
    path = written(tmp_path / "scan.pdf", pages([first, grey]))
    with open_deck(path) as deck, journal_of(deck) as journal:
        slides = look(deck, "auto", journal, lambda _n: None)
        assert not journal.is_empty
        again = look_again(path, journal)
    assert [line.text for line in slides[0].lines] == ["Readable heading", "letters that are far too small"]
    assert slides == again
    found = measured_remarks(slides, load_rules("en"))
    assert [(remark.kind, remark.slides) for remark in found] == [("small_text", (1,)), ("low_contrast", (2,))]
    assert found[0].text.startswith("≤ ")  # 13 of 844 pixels are 8.3 points


def look_again(path: Path, journal: Journal) -> list[Slide]:
    """What is recognised is kept: the engine is not asked."""
    before = ocr.read_text
    ocr.read_text = None  # type: ignore[assignment]
    try:
        with open_deck(path) as deck:
            return [looked_at(found, "auto", journal) for found in deck.slides()]
    finally:
        ocr.read_text = before


def test_writing_on_pictures_beside_text_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is text already is not read twice."""
    from edgeai.vision.picture_text import PictureText, TextLine

    def read_text(picture: object) -> PictureText:
        boxes = [((80.0, top), (900.0, top), (900.0, top + 60), (80.0, top + 60)) for top in (60.0, 800.0)]
        return PictureText(
            tuple(TextLine(text, box, 0.9) for text, box in zip(["Slide one", "On it"], boxes, strict=True))
        )

    monkeypatch.setattr(ocr, "read_text", read_text)
    with open_deck(written(tmp_path / "deck.pdf", pdf_deck(THREE[:1]))) as deck, Journal("ab") as journal:
        (found,) = deck.slides()
        slide = looked_at(found, "always", journal)
    assert [line.text for line in slide.lines] == ["Slide one", "Some words", "On it"]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
@pytest.mark.parametrize("n_pages", [2, 3])
def test_a_presentation_is_drawn_by_libreoffice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_pages: int) -> None:
    """A stand-in that gives a prepared PDF: hidden slides have no page, and are not mistaken for the next one."""
    drawn_pages = [THREE[0], [title("Slide three"), Text("grey words", 24, 200)], THREE[1]][:n_pages]
    prepared = written(tmp_path / "prepared.pdf", pdf_deck(drawn_pages))
    office = tmp_path / "bin" / "soffice"
    office.parent.mkdir()
    office.write_text(
        '#!/bin/sh\nfor arg in "$@"; do [ "$last" = --outdir ] && out=$arg; last=$arg; done\n'
        f'mkdir -p "$out" && cp "{prepared}" "$out/slides.pdf"\n'
    )
    office.chmod(0o755)
    monkeypatch.setenv("PATH", f"{office.parent}{os.pathsep}{os.environ['PATH']}")
    data = pptx_deck([(slide[0].words, slide[1:]) for slide in THREE], notes="Slowly.", hidden=[2])
    with open_deck(written(tmp_path / "deck.pptx", data)) as deck, Journal("ab") as journal:
        found = list(deck.slides())
        slides = [looked_at(slide, "never", journal) for slide in found]
    assert [slide.title for slide in slides] == ["Slide one", "Slide two", "Slide three"]
    assert [slide.notes for slide in found] == ["Slowly."] * 3
    if n_pages == 2:
        assert deck.note == ""
        assert [slide.has_picture for slide in slides] == [True, False, True]
        assert [remark.slides for remark in measured_remarks(slides, load_rules("en"))] == [(3,)]
    else:  # as many pages as slides: it cannot be told which are which
        assert deck.note == "LibreOffice did not draw them"
        assert not any(slide.has_picture for slide in slides)


def test_without_libreoffice_the_text_is_reviewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    data = pptx_deck([("Title", [Text("small", 8)])])
    with open_deck(written(tmp_path / "deck.pptx", data)) as deck, Journal("ab") as journal:
        assert deck.note == "LibreOffice is not installed"
        slides = look(deck, "never", journal, lambda _n: None)
    assert [remark.kind for remark in measured_remarks(slides, load_rules("en"))] == ["small_text"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("deck.pdf", b"", r"it is empty \(0 bytes\): expected a deck of slides"),
        ("deck.pdf", b"%PDF-1.4\nnothing", r"damaged or cut short"),
        ("deck.pdf", b"plain text", r"it is called .pdf and is none"),
        ("deck.pptx", b"PK\x03\x04 nothing", r"damaged or cut short"),
        ("deck.txt", b"plain text\n" * 20, r"it is called .txt and is none|is no deck"),
        ("deck.png", b"\x89PNG\r\n\x1a\n0000", r"it is a PNG picture"),
        ("deck.ppt", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"Office file of before 2007"),
        ("deck.pdf", pdf([["secret"]], password="open"), r"it is encrypted: expected its password"),
    ],
    ids=["empty", "cut", "text", "cut package", "other text", "picture", "old office", "encrypted"],
)
def test_bad_files_are_told_in_one_line(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = written(tmp_path / name, data)
    with pytest.raises(DocumentError, match=words) as caught, open_deck(path) as deck:
        list(deck.slides())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_password_opens_a_deck(tmp_path: Path) -> None:
    path = written(tmp_path / "deck.pdf", pdf([["secret words"]], password="open"))
    with open_deck(path, password="open") as deck:
        (slide,) = deck.slides()
    assert slide.lines[0].text == "secret words"


def test_more_slides_than_may_be_and_slides_that_are_not_there(tmp_path: Path) -> None:
    path = written(tmp_path / "deck.pdf", pdf_deck([[Text("x")]] * 10_000))
    words = r"10,000 slides: expected at most 500 at once; choose some \(--slides 1-500\)"
    with pytest.raises(DocumentError, match=words), open_deck(path, max_slides=500):
        pass
    with (
        pytest.raises(OptionError, match=r"it has 10,000 slides: expected --slides within 1-10000"),
        open_deck(path, first=9_999, last=10_001),
    ):
        pass
    with open_deck(path, first=9_999, last=10_000, max_slides=500, draws=False) as deck:
        assert [slide.number for slide in deck.slides()] == [9_999, 10_000]


@pytest.mark.parametrize("size", [(14_400, 14_400), (14_400, 1), (1, 14_400), (0, 0), (1e30, 10)])
def test_slides_of_any_size(tmp_path: Path, size: tuple[float, float]) -> None:
    with open_deck(written(tmp_path / "deck.pdf", pdf_deck(THREE[:1], size=size))) as deck, Journal("ab") as journal:
        slides = [looked_at(slide, "never", journal) for slide in deck.slides()]
    assert len(slides) == 1
    measured_remarks(slides, load_rules("en"))


def test_a_deck_of_pictures_without_recognition(tmp_path: Path) -> None:
    path = written(tmp_path / "scan.pdf", pages([Image.new("RGB", (400, 225), "grey")]))
    with (
        open_deck(path) as deck,
        journal_of(deck) as journal,
        pytest.raises(DocumentError, match=r"no slide has any text: expected some; ") as caught,
    ):
        look(deck, "never", journal, lambda _n: None)
    assert "\n" not in str(caught.value)


def test_control_characters_are_taken_out(tmp_path: Path) -> None:
    data = pptx_deck([("Title\u202eevil\u200f", [Text("a\u2028b")])])
    with open_deck(written(tmp_path / "deck.pptx", data), draws=False) as deck:
        (slide,) = deck.slides()
    assert [line.text for line in slide.lines] == ["Titleevil", "a b"]
