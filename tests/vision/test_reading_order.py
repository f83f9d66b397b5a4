"""Lines of text put into the order in which people read them; their boxes are made up here."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.vision.picture_text import TextLine
from edgeai.vision.reading_order import in_reading_order
from edgeai.vision.text_boxes import SIDE, text_boxes

_HEIGHT = 30


def line(text: str, left: float, top: float, width: float, height: float = _HEIGHT) -> TextLine:
    right, bottom = left + width, top + height
    return TextLine(text, ((left, top), (right, top), (right, bottom), (left, bottom)), 1.0)


def column(name: str, left: float, top: float, n_lines: int) -> list[TextLine]:
    return [line(f"{name}{n}", left, top + 36 * n, 480) for n in range(n_lines)]


def read(lines: list[TextLine]) -> list[str]:
    shuffled = list(lines)
    random.Random(0).shuffle(shuffled)
    return in_reading_order(shuffled).text.split("\n\n")


def test_titles_across_both_columns_part_them_into_bands() -> None:
    lines = [
        *(line("Title", 50, 0, 900), *column("a", 50, 60, 4), *column("b", 600, 60, 4)),
        *(line("Second title", 50, 240, 900), *column("c", 50, 300, 4), *column("d", 600, 300, 4)),
    ]
    columns = ["\n".join(f"{name}{n}" for n in range(4)) for name in "abcd"]
    assert read(lines) == ["Title", *columns[:2], "Second title", *columns[2:]]


def test_three_columns_of_different_lengths() -> None:
    lines = [*column("a", 0, 0, 8), *column("b", 530, 0, 8), *column("c", 1060, 0, 3)]
    assert [part.split("\n")[0] for part in read(lines)] == ["a0", "b0", "c0"]


def test_a_heading_in_one_column_stays_in_it() -> None:
    lines = [*column("a", 0, 0, 4), line("Heading", 0, 190, 300, 40), *column("b", 0, 260, 4), *column("c", 530, 0, 11)]
    assert "\n".join(read(lines)).split("\n") == [
        *(f"a{n}" for n in range(4)),
        *("Heading", *(f"b{n}" for n in range(4)), *(f"c{n}" for n in range(11))),
    ]


def test_a_form_is_read_row_by_row() -> None:
    labels = ["Customer name:", "Date of delivery:", "Contact in charge:"]
    values = ["Sato Trading Ltd.", "2026-11-30", "Yamada"]
    lines = [line(text, 60, 80 * n, 12 * len(text)) for n, text in enumerate(labels)]
    lines += [line(text, 420, 80 * n, 12 * len(text)) for n, text in enumerate(values)]
    (block,) = in_reading_order(lines).blocks
    assert (block.kind, block.rows) == ("table", tuple(zip(labels, values, strict=True)))


def test_a_table_keeps_empty_cells() -> None:
    cells = [("Year", "2025", "2026"), ("Pumps", "", "12"), ("Valves", "7", "")]
    lines = [
        *(line(cell, 200 * c, 50 * r, 60) for r, row in enumerate(cells) for c, cell in enumerate(row) if cell),
        line("A line of text below the table, as long as all of it", 0, 220, 500),
    ]
    found = in_reading_order(lines)
    assert [block.kind for block in found.blocks] == ["table", "text"]
    assert found.blocks[0].rows == tuple(cells)


@pytest.mark.parametrize(
    ("texts", "gap", "whole"),
    [
        (("replace the", "filter"), 4, "replace the filter"),
        (("フィルターを", "交換する"), 4, "フィルターを交換する"),
        (("フィルターを", "交換する"), 24, "フィルターを 交換する"),
        (("圧力は", "12.5 MPa"), 4, "圧力は 12.5 MPa"),
        (("필터를", "교체한다"), 4, "필터를 교체한다"),
    ],
)
def test_parts_of_a_line_are_joined_as_they_are_written(texts: tuple[str, str], gap: int, whole: str) -> None:
    assert read([line(texts[0], 0, 0, 200), line(texts[1], 200 + gap, 2, 200)]) == [whole]


def test_the_skew_of_a_photo_is_undone() -> None:
    angle = math.radians(7)
    cosine, sine = math.cos(angle), math.sin(angle)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return point[0] * cosine - point[1] * sine, point[0] * sine + point[1] * cosine

    turned = []
    for each in (*column("a", 0, 0, 5), *column("b", 530, 0, 5)):
        one, two, three, four = each.box
        turned.append(TextLine(each.text, (at(one), at(two), at(three), at(four)), 1.0))
    assert read(turned) == ["\n".join(f"{name}{n}" for n in range(5)) for name in "ab"]


def test_large_letters_are_a_heading() -> None:
    found = in_reading_order([line("Safety", 0, 0, 300, 60), *column("a", 0, 90, 4)])
    assert found.markdown.split("\n\n")[0] == "## Safety"


_SPAN = st.integers(0, 900)
_LINES = st.lists(st.tuples(_SPAN, _SPAN, _SPAN, st.integers(0, 90)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(_LINES, st.booleans())
def test_no_line_is_lost(boxes: list[tuple[int, int, int, int]], is_flipped: bool) -> None:
    lines = [line(f"t{number}", *box) for number, box in enumerate(boxes)]
    found = in_reading_order(lines, is_flipped=is_flipped)
    assert sorted(each.text for each in found.lines) == sorted(each.text for each in lines)
    assert sorted(found.text.split()) == sorted(each.text for each in lines)


def test_a_page_full_of_specks_ends() -> None:
    rng = random.Random(0)
    lines = [line("x", rng.randrange(2000), rng.randrange(2000), 20, 20) for _ in range(1000)]
    assert len(in_reading_order(lines).lines) == 1000


def test_lines_that_a_cut_parts_are_made_whole() -> None:
    picture = np.full((200, 4400, 3), 255, np.uint8)
    picture[90:110, 1000:3900] = 0  # one line, across every cut
    picture[150:160, 100:300] = 0

    def find(pixels: np.ndarray) -> np.ndarray:
        """The bounds of what is black, by rows."""
        found = []
        dark = (pixels == 0).all(axis=2)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], dark.any(axis=1), [False]]).astype(int)))
        for top, bottom in zip(edges[::2], edges[1::2], strict=True):
            columns = np.flatnonzero(dark[top:bottom].any(axis=0))
            left, right = columns[0], columns[-1] + 1
            found.append([(left, top), (right, top), (right, bottom), (left, bottom)])
        return np.array(found, np.float32).reshape(-1, 4, 2)

    assert picture.shape[1] > 2 * SIDE
    boxes = sorted(text_boxes(picture, find).tolist())
    assert boxes == [
        [[100, 150], [300, 150], [300, 160], [100, 160]],
        [[1000, 90], [3900, 90], [3900, 110], [1000, 110]],
    ]
