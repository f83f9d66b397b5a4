"""What is measured of slides: exactly the faults that a deck was made with."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgeai.media import Medium
from edgeai.notes.journal import Journal
from edgeai.review.between import differing
from edgeai.review.checks import measured, n_words, without_furniture
from edgeai.review.contrast import text_contrast
from edgeai.review.deck import Line, Slide, open_deck
from edgeai.review.remarks import Remark
from edgeai.review.review import look, measured_remarks
from edgeai.review.rules import Rules, load_rules
from tests.review.decks import Text, long_slide, pdf_deck, pptx_deck, title

GOOD = [title("Plan for spring"), Text("Two teams work on the press"), Text("The first tests begin in May")]
BAD: dict[str, list[Text]] = {
    "small_text": [title("Press"), Text("Readable words"), Text("letters far too small", 8)],
    "too_much_text": long_slide(150),
    "low_contrast": [title("Press"), Text("light grey words", 24, 200)],
    "no_source": [title("Press"), Text("It saves 45 % of the time")],
}
SOURCED = [title("Press"), Text("It saves 45 % of the time"), Text("Source: Survey of 2024, p. 3", 10)]
TOTALS = [[title("Costs"), Text("Total cost: 1,200 EUR")], [title("Summary"), Text("Total cost: 1,300 EUR")]]


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules("en")


def slides_in(path: Path, data: bytes) -> list[Slide]:
    path.write_bytes(data)
    with open_deck(path) as deck, Journal("ab") as journal:
        return look(deck, "never", journal, lambda _n: None)


def kinds(remarks: list[Remark]) -> list[tuple[str, tuple[int, ...]]]:
    return [(remark.kind, remark.slides) for remark in remarks]


def slide_of(*lines: str, number: int = 1, points: float = 24) -> Slide:
    return Slide(number, tuple(Line(line, points, 21.0) for line in lines))


@pytest.mark.parametrize("size", [(960, 540), (9600, 5400)])
def test_a_pdf_has_just_the_faults_that_it_was_made_with(tmp_path: Path, rules: Rules, size: tuple[int, int]) -> None:
    slides = slides_in(tmp_path / "deck.pdf", pdf_deck([GOOD, *BAD.values(), SOURCED, *TOTALS], size=size))
    found = measured_remarks(slides, rules)
    assert kinds(found) == [*((kind, (number,)) for number, kind in enumerate(BAD, 2)), ("inconsistent", (7, 8))]
    small, much, low, claim, totals = found
    assert small.quotes == ("letters far too small",)
    assert small.text == "8 pt on a slide 540 pt high, expected 14 pt or more"
    assert much.text.startswith("151 words in 14 lines")
    assert low.text == "contrast 1.6:1, expected 3:1 or more (WCAG 2.2)"
    assert claim.quotes == ("It saves 45 % of the time",)
    assert totals.quotes == ("Total cost: 1,200 EUR", "Total cost: 1,300 EUR")
    assert totals.text == "Total cost: 1,200 EUR on slide 7, 1,300 EUR on slide 8"


def test_a_presentation_has_the_same_but_for_its_contrast(tmp_path: Path, rules: Rules) -> None:
    deck = [GOOD, *BAD.values(), SOURCED, *TOTALS]
    data = pptx_deck([(slide[0].words, slide[1:]) for slide in deck], notes="Slow down here.")
    slides = slides_in(tmp_path / "deck.pptx", data)
    expected = [(kind, (number,)) for number, kind in enumerate(BAD, 2) if kind != "low_contrast"]
    assert kinds(measured_remarks(slides, rules)) == [*expected, ("inconsistent", (7, 8))]


@pytest.mark.parametrize(
    ("ink", "ground", "ratio"),
    # Ratios of the pairs as WebAIM's contrast checker tells them.
    [((0, 0, 0), (255, 255, 255), 21.0), ((118, 118, 118), (255, 255, 255), 4.54), ((255, 0, 0), (255, 255, 255), 3.99),
     ((255, 255, 255), (0, 0, 255), 8.59), ((200, 200, 200), (255, 255, 255), 1.67)],
)  # fmt: skip
def test_contrast_is_that_of_the_colours(ink: tuple[int, int, int], ground: tuple[int, int, int], ratio: float) -> None:
    pixels = np.full((60, 200, 3), ground, np.uint8)
    pixels[20:40, 20:180:8] = ink
    pixels[20:40, 21:181:8] = ink
    found = text_contrast(Medium.picture(pixels.tobytes(), 200, 60), (0.1, 1 / 3, 0.9, 2 / 3))
    assert found is not None
    assert math.isclose(found, ratio, abs_tol=0.01)


def test_contrast_on_a_picture_is_not_known() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 200, 3), np.uint8)
    assert text_contrast(Medium.picture(pixels.tobytes(), 200, 60), (0.1, 0.3, 0.9, 0.7)) is None


@pytest.mark.parametrize(("ground", "fine", "low"), [(255, 110, 160), (40, 130, 90)])
def test_grey_letters_on_grey(tmp_path: Path, rules: Rules, ground: int, fine: int, low: int) -> None:
    heading = Text("A heading", 40, 255 if ground < 128 else 0)
    deck = [[heading, Text("grey words in here", 18, grey)] for grey in (fine, low)]
    slides = slides_in(tmp_path / "deck.pdf", pdf_deck(deck, ground=ground))
    assert kinds(measured_remarks(slides, rules)) == [("low_contrast", (2,))]


@pytest.mark.parametrize(
    "line",
    ["Our press is the fastest", "The world's first of its kind", "It is 3x faster", "Saves 45% of the time",
     "２０％の削減", "業界No.1の品質", "3倍の速さ", "Used by 2.5 million people", "世界初の技術", "No. 1 in Asia"],
)  # fmt: skip
def test_claims(rules: Rules, line: str) -> None:
    assert kinds(measured(slide_of("Press", line), rules)) == [("no_source", (1,))]
    for source in ("Source: Survey 2024", "https://example.com/report", "出典：総務省", "Smith et al., 2021"):
        assert measured(slide_of("Press", line, source), rules) == []


@pytest.mark.parametrize(
    "line",
    ["Best practices for the press", "Meeting on 3 May 2024", "At least two people", "Three steps", "1920x1080 pixels",
     "A grid of 3 x 4", "最大化する", "The bestseller list", "Contact us 3 times a week", "第3章"],
)  # fmt: skip
def test_no_claims(rules: Rules, line: str) -> None:
    assert measured(slide_of("Press", line), rules) == []


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("Staff: 12", "Staff: 15", True),
        ("Staff: 12", "Staff: 12", False),
        ("売上合計：120億円", "売上合計：130億円", True),
        ("Total revenue $1,200", "Total revenue $1,300", True),
        ("Staff: 12 people", "Staff: 15 hours", False),  # other units: other things
        ("Staff | 12", "Staff | 15", True),
        ("Step 1", "Step 2", False),
        ("Revenue 2023", "Revenue 2024", False),
        ("Total: 12", "Total: 15", False),  # of other things, as the titles say
        ("Temperature: 1,200 °C", "Temperature: 1200 °C", False),
        ("Weight: 1.50 kg", "Weight: 1.5 kg", False),
        ("Firmware: 1.2.3", "Firmware: 1.2.4", True),
        ("Start: 12:30", "Start: 13:30", False),
    ],
)
def test_numbers_between_slides(rules: Rules, one: str, other: str, differ: bool) -> None:
    slides = [slide_of("First", one), slide_of("Second", other, number=2)]
    assert kinds(differing(slides, rules)) == ([("inconsistent", (1, 2))] if differ else [])


def test_what_every_slide_has_for_itself_is_no_contradiction(rules: Rules) -> None:
    slides = [slide_of(f"Region {name}", f"Staff: {12 + at}", number=at) for at, name in enumerate("ABC", 1)]
    assert differing(slides, rules) == []
    slides.append(slide_of("Summary", "Staff: 13", number=4))
    assert kinds(differing(slides, rules)) == [("inconsistent", (1, 2, 3, 4))]


def test_footers_and_page_numbers_are_not_judged(rules: Rules) -> None:
    footer = Line("Confidential 2024", 9, 1.5)
    slides = [Slide(n, (Line(f"Title {n}", 30), footer, Line(f"{n} / 4", 9, 1.5))) for n in range(1, 5)]
    assert [slide.text for slide in without_furniture(slides)] == [f"Title {n}" for n in range(1, 5)]
    alone = without_furniture([slides[0], slide_of("Another", number=2)])
    assert alone[0].lines[1:] == (footer,)


def test_words_of_scripts_that_do_not_separate_them() -> None:
    assert n_words("one two-three don't 4.5") == 4
    assert n_words("日本語です") == 3
    assert n_words("PLaMoは速い") == 3


def test_inherited_sizes_of_a_presentation(tmp_path: Path) -> None:
    """Sizes as the default template of python-pptx has them: 44 for titles, 32 and 28 for two levels, 18 elsewhere."""
    import pptx
    from pptx.util import Pt

    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Title"
    frame = slide.placeholders[1].text_frame
    frame.text = "first"
    second = frame.add_paragraph()
    second.text, second.level = "second", 1
    box = slide.shapes.add_textbox(Pt(10), Pt(10), Pt(100), Pt(30))
    box.text_frame.text = "box"
    table = slide.shapes.add_table(2, 2, Pt(10), Pt(200), Pt(300), Pt(60)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Staff", "12"
    show.save(str(tmp_path / "deck.pptx"))
    with open_deck(tmp_path / "deck.pptx", draws=False) as deck:
        (found,) = deck.slides()
    sizes = {line.text: line.points for line in found.lines}
    assert sizes == {"Title": 44, "first": 32, "second": 28, "box": 18, "Staff | 12": 18}
