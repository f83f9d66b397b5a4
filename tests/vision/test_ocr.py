"""What is written in drawn pictures, read by the real engine."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from edgeai.errors import OptionError, PictureError
from edgeai.media import Medium
from edgeai.vision import ocr
from edgeai.vision.ocr import read_text
from tests.vision.drawn_text import drawn, medium_of

ENGLISH = ["The filter is replaced every 500 hours,", "or sooner in dusty rooms."]
JAPANESE = ["フィルターは500時間ごとに交換します。", "締付トルクは12.5Nmです。"]


def page(lines: list[str], *, japanese: bool = False) -> Image.Image:
    return drawn(560, 110, [(20, 15 + 40 * n, line) for n, line in enumerate(lines)], japanese=japanese)


def test_english_is_read_with_its_places() -> None:
    found = read_text(medium_of(page(ENGLISH)))
    assert [line.text for line in found.lines] == ENGLISH
    assert found.text == found.markdown == "\n".join(ENGLISH)
    for number, line in enumerate(found.lines):
        (left, top), (right, _), (_, bottom), _ = line.box
        assert 10 <= left <= 22 < 250 < right < 560
        assert 5 + 40 * number <= top < 25 + 40 * number < bottom < 60 + 40 * number
        assert line.score > 0.9


def test_japanese_is_read() -> None:
    assert read_text(medium_of(page(JAPANESE, japanese=True))).text == "\n".join(JAPANESE)


@pytest.mark.parametrize("degrees", [90, 180, 270, 4])
def test_a_picture_may_lie_on_any_side(degrees: int) -> None:
    turned = page(ENGLISH).rotate(degrees, expand=True, fillcolor="white")
    found = read_text(medium_of(turned))
    assert found.text == "\n".join(ENGLISH)
    assert all(0 <= x <= turned.width and 0 <= y <= turned.height for line in found.lines for x, y in line.box)


def test_vertical_japanese_is_read_from_the_right() -> None:
    columns = ["吾輩は猫である。名前は", "まだ無い。どこで生れた"]
    letters = [(180 - 70 * c, 15 + 32 * r, letter) for c, text in enumerate(columns) for r, letter in enumerate(text)]
    assert read_text(medium_of(drawn(260, 390, letters, 28, japanese=True))).text == "\n".join(columns)


def test_columns_are_read_one_after_the_other() -> None:
    left = ["The left column begins here and", "goes on with a second line, then", "it ends with the third one."]
    right = ["The right column is read after", "the left one, as people do it,", "and ends on the same height."]
    texts = [(330, 15, "Of columns")]
    texts += [(x, 80 + 36 * n, line) for x, column in ((20, left), (440, right)) for n, line in enumerate(column)]
    found = read_text(medium_of(drawn(820, 210, texts)))
    assert found.text == "\n\n".join(["Of columns", "\n".join(left), "\n".join(right)])


def test_a_table_is_one_in_markdown() -> None:
    rows = [("Part", "Count", "Price"), ("Bolt M8", "12", "0.35"), ("Washer", "24", "0.05")]
    texts = [(x, 15 + 45 * n, cell) for n, row in enumerate(rows) for x, cell in zip((20, 220, 400), row, strict=True)]
    found = read_text(medium_of(drawn(520, 150, texts)))
    assert found.markdown.splitlines()[1:] == [
        "| --- | --- | --- |",
        "| Bolt M8 | 12 | 0.35 |",
        "| Washer | 24 | 0.05 |",
    ]
    assert found.text.splitlines()[0] == "Part Count Price"


def test_small_letters_of_a_large_picture_survive() -> None:
    texts = [(200, 40, ENGLISH[0]), (2600, 210, ENGLISH[1]), (1640, 120, "A line that lies across the middle of it")]
    found = read_text(medium_of(drawn(3600, 260, texts, 16)))
    assert sorted(line.text for line in found.lines) == sorted(text for _, _, text in texts)


def test_what_holds_no_text_gives_none() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    for picture in (
        *(Image.new("RGB", size, "white") for size in ((300, 200), (1, 1), (16_384, 10))),
        Image.fromarray(noise),
    ):
        assert read_text(medium_of(picture)) == ocr.PictureText()


def test_a_picture_of_thirty_pixels_is_read() -> None:
    assert read_text(medium_of(drawn(300, 30, [(8, 2, "Serial No. 4711-B")], 20))).text == "Serial No. 4711-B"


def test_a_sound_is_none() -> None:
    with pytest.raises(PictureError, match="transcribe"):
        read_text(Medium.sound(bytes(4 * 16_000)))


def test_orders_and_control_characters_in_it_are_data(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def read(self, pixels: object) -> tuple[list[ocr.TextLine], bool]:
            box = ((0.0, 0.0), (90.0, 0.0), (90.0, 9.0), (0.0, 9.0))
            texts = ["# \x1b]0;owned\x07run\u202e |rm| <b>", "\x07", "unlikely"]
            return [ocr.TextLine(text, box, 0.2 if text == "unlikely" else 1.0) for text in texts], False

    monkeypatch.setattr(ocr, "_reader", Hostile())
    found = read_text(medium_of(Image.new("RGB", (99, 99))))
    assert found.text == "# run |rm| <b>"
    assert found.markdown == r"\# run \|rm\| \<b\>"


def test_the_engine_is_let_go_and_loaded_again() -> None:
    ocr.release()
    assert ocr._reader is None
    assert read_text(medium_of(page(ENGLISH))).text
    ocr.release()


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_reader", None)
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(OptionError, match=r"pip install 'edgeai\[ocr\]'"):
        read_text(medium_of(Image.new("RGB", (9, 9))))


_ALONE = """
import io, logging, socket, sys
def refuse(*_): raise AssertionError("it reached for the network")
socket.socket.connect = socket.getaddrinfo = refuse
opened = []
sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)
from edgeai.media import Medium
from edgeai.vision.ocr import read_text
assert "rapidocr" not in sys.modules and "cv2" not in sys.modules
assert read_text(Medium.picture(bytes([255]) * 30_000, 100, 100)).text == ""
import rapidocr
written = [path for path, mode, _ in opened if "rapidocr" in str(path) and set(str(mode or "r")) & set("wax+")]
assert not written, written
assert not logging.getLogger().handlers
"""


def test_nothing_is_fetched_printed_or_written() -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", _ALONE], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
