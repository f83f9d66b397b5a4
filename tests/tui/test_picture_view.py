"""Pictures in the terminal, read back from what is sent to it."""

from __future__ import annotations

import base64
import io
import re
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageDraw
from rich.cells import cell_len
from rich.console import Console
from textual.style import Style

from edgeai.media import Medium
from tui import picture_output
from tui.graphics import Graphics
from tui.graphics_protocols import MAX_PLACEHOLDERS, kitty, kitty_forget, new_image_number, placeholders, sixel
from tui.half_blocks import HalfBlocks, half_block_rows
from tui.picture_output import print_picture
from tui.picture_pixels import cells_for, pixels_of
from tui.picture_rows import PictureRows, small

RGB = tuple[int, ...]
Colour = tuple[int, int, int]
MARK = r"\U0010eeee(.)(.)"


def medium(image: Image.Image) -> Medium:
    return Medium.picture(image.tobytes(), *image.size)


def drawing(size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A red circle, a blue square and a green triangle on white."""
    image = Image.new("RGB", (160, 120), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((8, 8, 80, 80), fill=(220, 40, 30))
    draw.rectangle((88, 48, 152, 112), fill=(30, 60, 200))
    draw.polygon([(120, 4), (100, 40), (140, 40)], fill=(20, 160, 60))
    return image.resize(size)


def images_of(text: str) -> list[tuple[dict[str, str], Image.Image | None]]:
    """The commands of kitty's protocol in a text: keys, and the picture that comes with them."""
    found: list[tuple[dict[str, str], Image.Image | None]] = []
    keys: dict[str, str] = {}
    data = ""
    for control, payload in re.findall(r"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\", text):
        here = dict(pair.split("=") for pair in control.split(","))
        keys = keys or here
        data += payload
        assert len(payload) <= 4096
        if here.get("m", "0") == "0":
            found.append((keys, Image.open(io.BytesIO(base64.b64decode(data))) if data else None))
            keys, data = {}, ""
    return found


def drawn_by(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A sixel text's pixels, as a terminal draws them; see DEC's manual."""
    match = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert match
    width, height = int(match[1]), int(match[2])
    pixels = np.zeros((height + 6, width, 3), np.uint8)
    colours: dict[int, RGB] = {}
    x = y = colour = 0
    for number, red, green, blue, count, bits, other in re.findall(
        r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|(?:!(\d+))?([?-~])|([$-])", match[3]
    ):
        if red:
            colours[int(number)] = tuple(round(int(part) * 2.55) for part in (red, green, blue))
        elif number:
            colour = int(number)
        elif bits:
            for row in range(6):
                if (ord(bits) - 63) >> row & 1:
                    pixels[y + row, x : x + int(count or 1)] = colours[colour]
            x += int(count or 1)
        else:
            x, y = 0, y + 6 * (other == "-")
    return pixels[:height]


def test_sizes_in_cells() -> None:
    assert cells_for((800, 600), 60, 20, (1, 2)) == (53, 20)
    assert cells_for((800, 600), 60, 40, (1, 2)) == (60, 23)
    assert cells_for((16, 16), 60, 20, (1, 2)) == (16, 8)
    assert cells_for((16, 16), 60, 20, (8, 16)) == (2, 1)
    assert cells_for((1, 1), 60, 20, (10, 20)) == (1, 1)
    assert cells_for((16_384, 5), 60, 20, (1, 2)) == (60, 1)
    assert cells_for((5, 16_384), 60, 20, (1, 2)) == (1, 20)
    assert cells_for((300, 300), 1, 1, (1, 2)) == (1, 1)


def test_half_blocks_are_the_pixels() -> None:
    chance = np.random.default_rng(1)
    colours = chance.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    rows = half_block_rows(medium(Image.fromarray(colours)), 5, 3)
    for y, row in enumerate(rows):
        for x, segment in enumerate(row):
            assert segment.text == "▀"
            assert segment.style is not None
            assert segment.style.color is not None
            assert segment.style.bgcolor is not None
            assert segment.style.color.triplet == tuple(colours[2 * y, x])
            assert segment.style.bgcolor.triplet == tuple(colours[2 * y + 1, x])
    even = half_block_rows(medium(Image.new("RGB", (300, 300), "teal")), 30, 15)
    assert [[segment.text for segment in row] for row in even] == [["▀" * 30]] * 15


def test_a_console_shows_it_within_its_width() -> None:
    console = Console(file=io.StringIO(), width=20, force_terminal=True, color_system="truecolor", record=True)
    console.print(HalfBlocks(medium(drawing()), 60, 20))
    lines = console.export_text().splitlines()
    assert len(lines) == 8
    assert all(cell_len(line) == 20 for line in lines)


@pytest.mark.parametrize("size", [(1, 1), (37, 23), (400, 300)])
def test_kitty_gets_the_pixels(size: tuple[int, int]) -> None:
    image = drawing(size)
    ((keys, sent),) = images_of(kitty(image, 7, 3))
    assert sent is not None
    assert np.array_equal(np.asarray(sent), np.asarray(image))
    assert {name: keys[name] for name in "afqcrC"} == {"a": "T", "f": "100", "q": "2", "c": "7", "r": "3", "C": "1"}
    ((keys, _),) = images_of(kitty(image, 7, 3, number=99))
    assert (keys["i"], keys["U"]) == ("99", "1")


def test_placeholders_count_rows_and_columns() -> None:
    """Source: kitty's rowcolumn-diacritics.txt takes them from Unicode by these properties, in this order."""
    marks = [chr_ for _, chr_ in re.findall(MARK, placeholders(MAX_PLACEHOLDERS, 0))]
    assert len(marks) == MAX_PLACEHOLDERS
    assert marks == sorted(set(marks))
    assert all(unicodedata.combining(mark) == 230 and not unicodedata.decomposition(mark) for mark in marks)
    assert [ord(mark) for mark in marks[:6]] == [0x305, 0x30D, 0x30E, 0x310, 0x312, 0x33D]
    assert re.findall(MARK, placeholders(3, 5)) == [(marks[5], mark) for mark in marks[:3]]
    assert cell_len(placeholders(7, 2)) == 7


def test_image_numbers_fit_a_colour() -> None:
    numbers = [new_image_number() for _ in range(1000)]
    assert len(set(numbers)) == 1000
    assert all(0 < number < 2**24 for number in numbers)


@pytest.mark.parametrize("size", [(1, 1), (37, 23), (160, 120)])
def test_sixel_draws_the_pixels(size: tuple[int, int]) -> None:
    image = drawing(size).quantize(16).convert("RGB")
    shown = drawn_by(sixel(image))
    assert shown.shape == (size[1], size[0], 3)
    assert np.abs(shown.astype(int) - np.asarray(image, int)).max() <= 8  # colours are shares of a hundred


def test_sixel_of_many_colours_is_near() -> None:
    image = Image.merge("RGB", [Image.linear_gradient("L").rotate(angle) for angle in (0, 90, 180)])
    shown = drawn_by(sixel(image)).astype(int)
    assert np.abs(shown - np.asarray(image, int)).mean() < 12


class Out(io.StringIO):
    def isatty(self) -> bool:
        return True


def stdout(monkeypatch: pytest.MonkeyPatch) -> Out:
    """Put a terminal where stdout is."""
    out = Out()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return out


def can(monkeypatch: pytest.MonkeyPatch, graphics: Graphics) -> None:
    monkeypatch.setattr(picture_output, "graphics", lambda: graphics)


def test_printing_by_each_way(monkeypatch: pytest.MonkeyPatch) -> None:
    out = stdout(monkeypatch)
    shown = medium(drawing((800, 600)))
    can(monkeypatch, Graphics("kitty", (8, 16)))
    print_picture(shown)
    ((keys, sent),) = images_of(out.getvalue())
    assert (keys["c"], keys["r"]) == ("53", "20")
    assert sent is not None
    assert sent.size == (53 * 8, 20 * 16)
    assert out.getvalue().startswith("\n" * 20 + "\x1b[20A")
    out.truncate(0)
    can(monkeypatch, Graphics("sixel", (8, 16)))
    print_picture(shown, columns=10, rows=5)
    assert "\x1bPq" in out.getvalue()
    out.truncate(0)
    can(monkeypatch, Graphics())
    print_picture(shown, columns=10)
    assert out.getvalue().count("\n") == 4
    assert "▀" in out.getvalue()


def test_nothing_is_printed_where_it_would_not_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    out = stdout(monkeypatch)
    can(monkeypatch, Graphics("kitty"))
    monkeypatch.setenv("NO_COLOR", "1")
    print_picture(medium(drawing()))
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(out, "isatty", lambda: False)
    print_picture(medium(drawing()))
    assert out.getvalue() == ""
    monkeypatch.setattr(out, "isatty", lambda: True)
    print_picture(medium(drawing()))
    assert out.getvalue() != ""


def shown(view: PictureRows, width: int) -> list[list[tuple[Colour, Colour]]]:
    """The colours of the upper and the lower half of each cell."""
    rows = []
    for row in view.rows(width):
        assert set(row.content.plain) == {"▀"}
        cells = []
        for start, end, style in row.content.spans:
            assert isinstance(style, Style)
            assert style.foreground
            assert style.background
            cells += [(style.foreground.rgb, style.background.rgb)] * (end - start)
        rows.append(cells)
    return rows


def test_rows_of_text_hold_the_pixels_and_follow_their_width() -> None:
    image = drawing((800, 600))
    pixels = small(medium(image), Graphics())
    assert pixels.size == (32, 24), "no more of it is kept than is shown"
    view = PictureRows(pixels, Graphics(), pytest.fail)
    for width, (columns, rows) in ((70, (32, 12)), (20, (20, 8)), (1, (1, 1))):
        found = shown(view, width)
        assert (len(found[0]), len(found)) == (columns, rows)
        assert view.rows(width) is view.rows(width), "it is made once"
    whole = np.asarray(pixels_of(medium(image), (32, 24)))
    colours = [tuple(zip(*line, strict=True)) for line in shown(view, 70)]
    assert np.array_equal(np.array([half for line in colours for half in line]), whole)
    tiny = PictureRows(small(medium(Image.new("RGB", (1, 1))), Graphics()), Graphics(), pytest.fail)
    assert shown(tiny, 70) == [[((0, 0, 0), (0, 0, 0))]]


def test_kitty_draws_behind_placeholders_and_forgets() -> None:
    image, sent = drawing((800, 600)), list[str]()
    can = Graphics("kitty", (8, 16))
    pixels = small(medium(image), can)
    assert pixels.size == (256, 192)
    view = PictureRows(pixels, can, sent.append)
    rows = view.rows(70)
    ((keys, drawn),) = images_of("".join(sent))
    assert (keys["c"], keys["r"], keys["U"]) == ("32", "12", "1")
    assert drawn is not None
    assert np.array_equal(np.asarray(drawn), np.asarray(pixels_of(medium(image), (32 * 8, 12 * 16))))
    number = int(keys["i"])
    for y, row in enumerate(rows):
        assert row.content.plain == placeholders(32, y)
        assert row.content.cell_length == 32
        ((_, _, style),) = row.content.spans
        assert isinstance(style, Style)
        assert style.foreground
        assert style.foreground.rgb == tuple(number.to_bytes(3, "big"))
    view.rows(70)
    assert len(sent) == 1
    view.forget()
    assert sent[1:] == [kitty_forget(number)]
    view.rows(20)
    assert images_of(sent[-1])[0][0]["c"] == "20", "it is sent again"
