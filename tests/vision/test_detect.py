"""Boxes: what models write in the forms of grounding.toml, and the pixels that they mean."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeai import OptionError, Session, UnsupportedModalityError
from edgeai.structured import OutputFormat
from edgeai.vision.grounding import Detection, GroundingStyle, style_of, styles
from tests.fakes import FakeBackend
from tui.cli import main

LABELS = ["red circle", "bolt (M4)"]
ANSWERS = {
    "qwen2_5_vl": '```json\n[\n\t{"bbox_2d": [28, 56, 112, 140], "label": "red circle"},\n'
    '\t{"bbox_2d": [0, 0, 28, 28], "label": "bolt (M4)"}\n]\n```',
    "qwen3_vl": '```json\n[\n\t{"bbox_2d": [100, 200, 400, 500], "label": "red circle"}\n]\n```',
    "gemma3": '```json\n[\n  {"box_2d": [500, 250, 750, 500], "label": "bolt (M4)"}\n]\n```',
    "paligemma": "<loc0256><loc0128><loc0512><loc1023> red circle ; <loc0000><loc0001><loc0002><loc0003> bolt (M4)",
    "florence2": "bolt (M4)<loc_0><loc_10><loc_500><loc_999>",
}


@pytest.mark.parametrize("name", styles())
def test_a_model_can_write_what_it_was_trained_to_write(name: str) -> None:
    style = styles()[name]
    pattern = re.compile(style.pattern(LABELS))
    answer = ANSWERS[name]
    assert OutputFormat(pattern).parse(answer)
    assert OutputFormat(pattern).parse(answer.replace("bolt (M4)", "nut").replace("red circle", "nut")) is None
    n_boxes = len(re.findall("box_2d|(?:<loc_?[0-9]+>){4}", answer))
    assert len(list(style.boxes(answer, LABELS))) == n_boxes


def test_edges_have_the_order_of_each_form() -> None:
    boxes = styles()["paligemma"].boxes(ANSWERS["paligemma"], LABELS)
    assert next(boxes) == ("red circle", (128, 256, 1023, 512))
    assert list(styles()["gemma3"].boxes(ANSWERS["gemma3"], LABELS)) == [("bolt (M4)", (250, 500, 500, 750))]


def test_boxes_are_in_pixels_of_the_picture() -> None:
    relative = styles()["qwen3_vl"]
    assert relative.in_picture((100, 200, 400, 500), (640, 480), (640, 480)) == (64, 96, 256, 240)
    absolute = styles()["qwen2_5_vl"]
    assert absolute.in_picture((28, 28, 56, 56), (640, 480), (320, 240)) == (56, 56, 112, 112)
    padded = styles()["gemma3"]  # a square of 640 with the picture in its middle, 80 from the top
    assert padded.in_picture((0, 125, 500, 875), (640, 480), (640, 480)) == (0, 0, 320, 480)
    assert padded.in_picture((0, 0, 1000, 100), (640, 480), (640, 480)) is None, "all of it is in the bar"
    assert relative.in_picture((400, 200, 100, 500), (640, 480), (640, 480)) is None, "right is left of left"
    assert relative.in_picture((900, 900, 99999, 99999), (640, 480), (640, 480)) == (576, 432, 640, 480)


def test_the_style_follows_from_the_model() -> None:
    assert style_of("auto", "qwen2vl") is styles()["qwen2_5_vl"]
    assert style_of("florence2", "llama") is styles()["florence2"]
    own = GroundingStyle("Box of {labels}?", "{left} {top} {right} {bottom}", 100)
    assert style_of(own, "llama") is own
    with pytest.raises(OptionError, match="'llama' is not known to say where things are: give style, one of qwen2_5"):
        style_of("auto", "llama")
    with pytest.raises(OptionError, match="'nonsense': expected one of"):
        style_of("nonsense", "llama")


@pytest.mark.parametrize(("prompt", "item"), [("?", "{left} {top} {right} {bottom}"), ("{labels}?", "{left} {top}")])
def test_a_style_that_lacks_something_is_refused(prompt: str, item: str) -> None:
    with pytest.raises(OptionError, match=r"expected \{labels\} in the prompt, and \{left\}"):
        GroundingStyle(prompt, item, 100)


def test_detecting_asks_and_reads_the_boxes(tmp_path: Path) -> None:
    backend = FakeBackend(sees=True).enqueue("10 20 50 60", "1 2 3")
    own = GroundingStyle("Give the box of the {labels}.", "{left} {top} {right} {bottom}", 100, each_label=True)
    session = Session(backend=backend)
    session.messages = [{"role": "user", "content": "Hello"}]
    picture = Image.new("RGB", (200, 100), "white")
    found = session.detect(picture, ["red circle", "blue cross", "red circle"], style=own)
    assert found == [Detection("red circle", (20, 20, 100, 60))]
    first, second = (backend.detokenize(request.tokens) for request in backend.requests)
    assert "Give the box of the red circle." in first
    assert "Give the box of the blue cross." in second
    assert backend.requests[0].grammar is not None
    assert [message.content for message in session.messages] == ["Hello"]


@pytest.mark.parametrize("labels", [[], "bolt", [""], ["a\nb"], ['a"b'], ["<loc>"], ["x" * 201], [5], ["a"] * 65])
def test_what_cannot_be_looked_for_is_said(labels: list[str]) -> None:
    with pytest.raises(OptionError, match="expected"):
        Session(backend=FakeBackend(sees=True)).detect(Image.new("RGB", (9, 9)), labels)


def test_a_model_without_eyes_finds_nothing() -> None:
    with pytest.raises(UnsupportedModalityError, match="sees no pictures: take a model that sees"):
        Session(backend=FakeBackend()).detect(Image.new("RGB", (9, 9)), ["bolt"])


def test_the_command_marks_what_it_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = "bolt<loc_100><loc_100><loc_500><loc_500>"
    backend = FakeBackend(sees=True).enqueue(answer, "", answer)
    monkeypatch.setattr("tui.commands.detect.open_session", lambda _model, **_options: Session(backend=backend))
    path, marked = tmp_path / "photo.png", tmp_path / "marked.png"
    Image.new("RGB", (999, 999), "white").save(path)
    assert main(["detect", str(path), "bolt", "--style", "florence2", "-o", str(marked)]) == 0
    assert capsys.readouterr().out.split() == [
        "what",
        "left",
        "top",
        "right",
        "bottom",
        "bolt",
        "100",
        "100",
        "500",
        "500",
    ]
    pixels = np.asarray(Image.open(marked))
    changed = np.argwhere((pixels != 255).any(axis=2))
    assert changed.min(axis=0)[1] in range(98, 102)
    assert changed.max(axis=0)[0] in range(498, 503)
    assert (pixels[300, 300] == 255).all(), "what is in the box is left"
    assert main(["detect", str(path), "bolt", "--style", "florence2"]) == 1
    assert "nothing is found" in capsys.readouterr().err
    assert main(["detect", str(path), "bolt", "-o", str(tmp_path / "marked.txt")]) == 1
    assert "ends in .png" in capsys.readouterr().err
