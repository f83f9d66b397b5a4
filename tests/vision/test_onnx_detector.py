"""Detectors in ONNX folders: boxes are where the network says, for each kind's way of seeing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image, ImageDraw

from edgeai import OptionError, PictureError, Session
from edgeai.errors import ModelFormatError, ModelNotFoundError
from edgeai.vision.detector_files import layout_of
from edgeai.vision.detector_model import DetectorModel
from edgeai.vision.onnx_detector import OnnxDetector, detect_with
from edgeai.vision.picture import load_picture
from tests.fakes import FakeBackend
from tests.vision.tiny_detector import INPUTS, tiny_detector
from tui.cli import main

KINDS = tuple(INPUTS)
BOX = (100, 40, 200, 140)
LABELS = ["nothing", "red circle", "all"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tiny_detector(tmp_path_factory.mktemp("detectors") / kind, kind) for kind in KINDS}


def red(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((*BOX[:2], BOX[2] - 1, BOX[3] - 1), fill=(255, 0, 0))
    return image


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_are_in_pixels_of_the_picture_that_was_given(kind: str, folders: dict[str, Path]) -> None:
    with OnnxDetector(folders[kind]) as detector:
        for size in ((400, 160), (240, 480), (200, 200)):
            found = detector.detect(load_picture(red(*size)), LABELS)
            assert {detection.label for detection in found} == {"red circle", "all"}, "one that is empty is none"
            boxes = {detection.label: detection.box for detection in found}
            assert boxes["all"] == (0, 0, *size)
            assert np.allclose(boxes["red circle"], BOX, atol=max(size) / 80), "a pixel of what the network sees"
            assert len(found) == 2, "of two boxes of the same thing, the surer one"


def test_scores_are_those_of_the_words(folders: dict[str, Path]) -> None:
    def scores(kind: str, *labels: str, threshold: float | None = None) -> dict[str, float | None]:
        found = detect_with(folders[kind], red(400, 160), labels, threshold)
        return {detection.label: detection.score for detection in found}

    at_4, at_1, at_no = (1 / (1 + np.exp(-logit)) for logit in (4, 1, -9))
    assert scores("owlvit", "all", "red") == pytest.approx({"red": at_4, "all": at_1})
    assert scores("owlvit", "all", "red", threshold=0.8) == pytest.approx({"red": at_4})
    assert scores("grounding-dino", "Red circle.", "all") == pytest.approx(
        {"all": at_1, "Red circle.": (at_4 + at_no) / 2}
    ), "the mean of its two words, without the point behind it"
    assert scores("owlvit", "circle") == {}
    assert list(scores("owlvit", " ".join(["red"] * 40))) == [" ".join(["red"] * 40)], "cut to what the texts may have"
    with pytest.raises(OptionError, match=r"labels of 2\d\d tokens together: this detector takes 256; look for fewer"):
        scores("grounding-dino", *(f"{'all ' * 20}{number}" for number in range(12)))


def test_pictures_are_prepared_as_transformers_does_it(folders: dict[str, Path], tmp_path: Path) -> None:
    white = np.full((480, 640, 3), 255, np.uint8)
    owlv2, joined = (layout_of(folders[kind]) for kind in ("owlv2", "grounding-dino"))
    padded = owlv2.prepared(white)
    assert padded.shape == (3, 96, 96)
    clip = (np.array([1.0, 0.5]) - 0.48145466) / 0.26862954  # white, and the grey below a picture that is no square
    assert padded[0, [10, 90], 50] == pytest.approx(clip, abs=0.01)
    assert joined.prepared(white)[:, 0, 0] == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-3)
    real = tiny_detector(tmp_path, "grounding-dino", preprocessor={"resample": 2})
    for size, expected in {(480, 640): (800, 1066), (1080, 1920): (750, 1333), (10, 2000): (7, 1333)}.items():
        assert layout_of(real).prepared(np.zeros((*size, 3), np.uint8)).shape == (3, *expected)
    legacy = tiny_detector(tmp_path, "owlvit", preprocessor={"size": [768, 768], "crop_size": 768})
    assert layout_of(legacy).size == (768, 768)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", b"{", "config.json: expected JSON, found none"),
        ("config.json", b"[" * 5000, "config.json: expected JSON, found none"),
        ("config.json", b"[]", "config.json: expected a JSON object, found a list"),
        (
            "config.json",
            b'{"model_type": "yolo"}',
            "model_type = 'yolo': expected one of owlvit, owlv2, grounding-dino",
        ),
        ("config.json", b'{"model_type": ["owlvit"]}', "model_type = "),
        (
            "config.json",
            b'{"model_type": "owlvit", "text_config": {"max_position_embeddings": 1e99}}',
            "tokens of a text",
        ),
        ("config.json", None, "config.json: no such file: expected a detector's config.json"),
        (
            "preprocessor_config.json",
            b'{"size": {"height": 1000000, "width": 96}}',
            "size = 1000000: expected a number",
        ),
        ("preprocessor_config.json", b'{"size": {"height": 96}}', "size = None: expected a number from 16 to 2,048"),
        ("preprocessor_config.json", b'{"image_std": [1, 0, 1]}', "image_std = .1, 0, 1.: expected three numbers"),
        ("preprocessor_config.json", b'{"image_mean": [NaN, 0, 1]}', "image_mean = .nan, 0, 1.: expected three"),
        ("preprocessor_config.json", b'{"resample": 9}', "resample = 9: expected one of Pillow's filters"),
        ("preprocessor_config.json", b'{"do_normalize": false}', "do_normalize = False: expected true"),
        ("preprocessor_config.json", b'{"do_center_crop": true, "crop_size": 90}', "crop_size = 90: expected nothing"),
        ("tokenizer.json", b"{}", "tokenizer.json: no tokenizer that can be read"),
        (
            "tokenizer.json",
            b'{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "u"}}',
            "tokenizer.json: it cannot read 'red'",
        ),
        ("tokenizer.json", b"", r"tokenizer.json: it is empty \(0 bytes\)"),
        ("model.onnx", b"\x08\x09nonsense", "model.onnx: no network that can be read"),
        ("model.onnx", None, "model.onnx: no such file: expected a detector's network"),
    ],
)
def test_a_file_that_is_not_what_it_must_be_is_told(
    file: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    folder = tiny_detector(tmp_path, "owlvit")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelFormatError, match=words):
        DetectorModel(folder, 1).find(np.zeros((9, 9, 3), np.uint8), ["red"], None)


def renamed(old: str, new: str) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        for each in (*graph.input, *graph.output, *graph.initializer):
            each.name = new if each.name == old else each.name
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]

    return change


def behind_logits(*nodes: Any) -> Callable[[Any], None]:
    """The network's own logits are called `inner`, and these nodes make `logits` of them."""

    def change(graph: Any) -> None:
        output = next(at for at, node in enumerate(graph.node) if "logits" in node.output)
        graph.node[output].output[0] = "inner"
        graph.node.extend(nodes)

    return change


def retyped(graph: Any) -> None:
    graph.input[1].type.tensor_type.elem_type = TensorProto.STRING


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (renamed("pixel_values", "images"), "the network has no pixel_values: expected a detector"),
        (renamed("pred_boxes", "boxes_out"), "the network has no pred_boxes: expected a detector"),
        (renamed("attention_mask", "position_ids"), "the network asks for 'position_ids': expected pixel_values"),
        (
            behind_logits(helper.make_node("Concat", ["inner", "inner"], ["logits"], axis=1)),
            r"logits of shape \(1, 8, 1\)",
        ),
        (behind_logits(helper.make_node("Concat", ["inner", "inner"], ["logits"], axis=2)), "answers for 2 texts"),
        (behind_logits(helper.make_node("Squeeze", ["inner", "axis0"], ["logits"])), r"logits of shape \(4, 1\)"),
        (behind_logits(helper.make_node("Reshape", ["inner", "i3"], ["logits"])), "cannot be (run|read)"),
    ],
)
def test_a_network_of_another_make_is_told(change: Callable[[Any], None], words: str, tmp_path: Path) -> None:
    path = tiny_detector(tmp_path, "owlvit") / "model.onnx"
    network = onnx.load(path)
    change(network.graph)
    onnx.save(network, path)
    with pytest.raises(ModelFormatError, match=words):
        DetectorModel(tmp_path, 1).find(np.zeros((9, 9, 3), np.uint8), ["red"], None)


def test_answers_that_are_no_numbers_find_nothing(tmp_path: Path) -> None:
    path = tiny_detector(tmp_path, "owlvit") / "model.onnx"
    network = onnx.load(path)
    behind_logits(
        helper.make_node("Div", ["inner", "zero"], ["quotient"]),
        helper.make_node("Sub", ["quotient", "quotient"], ["logits"]),
    )(network.graph)
    network.graph.initializer.append(helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]))
    onnx.save(network, path)
    assert DetectorModel(tmp_path, 1).find(np.zeros((9, 9, 3), np.uint8), ["red"], None) == []


def with_weights_in(path: Path, name: str) -> None:
    """A network's file with a number more, added to its logits, which lies in a file of its own."""
    network = onnx.load(path)
    more = network.graph.initializer.add(name="more", data_type=TensorProto.FLOAT, dims=[1])
    more.data_location = TensorProto.EXTERNAL
    more.external_data.add(key="location", value=name)
    behind_logits(helper.make_node("Add", ["inner", "more"], ["logits"]))(network.graph)
    path.write_bytes(network.SerializeToString())


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
@pytest.mark.parametrize(("name", "is_read"), [("model.onnx_data", True), ("private.bin", False)])
def test_a_network_reads_its_weights_and_no_other_files(name: str, is_read: bool, tmp_path: Path) -> None:
    path = tiny_detector(tmp_path, "owlvit") / "model.onnx"
    (tmp_path / name).write_bytes(np.float32(9 - 4).tobytes())
    with_weights_in(path, name)
    if is_read:
        (found,) = detect_with(tmp_path, red(400, 160), ["red"])
        assert found.score == pytest.approx(1 / (1 + np.exp(-9)))
        return
    with pytest.raises(ModelFormatError, match=r"model.onnx: no network that can be read"):
        detect_with(tmp_path, red(400, 160), ["red"])


def test_the_end_of_the_process_is_an_error(folders: dict[str, Path]) -> None:
    with OnnxDetector(folders["owlvit"]) as detector:
        detector._link.process.kill()
        with pytest.raises(ModelFormatError, match=r"owlvit: the process that runs it .*: expected a detector within"):
            detector.detect(load_picture(red(400, 160)), ["red"])


def test_what_cannot_be_asked_is_told_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelNotFoundError, match="nowhere: no such folder: expected one with a detector"):
        detect_with(tmp_path / "nowhere", red(400, 160), ["red"])
    with pytest.raises(OptionError, match="threshold = 2: expected a score from 0 to 1"):
        detect_with(tmp_path, red(400, 160), ["red"], 2)
    with pytest.raises(OptionError, match="labels = "):
        detect_with(tmp_path, red(400, 160), [])
    with pytest.raises(PictureError):
        detect_with(tmp_path, b"no picture", ["red"])
    with pytest.raises(OptionError, match="threshold goes with detector"):
        Session(backend=FakeBackend(sees=True)).detect(red(400, 160), ["red"], threshold=0.5)
    monkeypatch.setattr("edgeai.vision.onnx_detector.find_spec", lambda _name: None)
    with pytest.raises(OptionError, match=r'not installed: pip install "edgeai\[quantize\]"'):
        detect_with(tmp_path, red(400, 160), ["red"])


def test_a_session_and_the_command_look_through_it(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(backend=FakeBackend())  # it sees no pictures
    (found,) = session.detect(red(400, 160), ["red"], detector=folders["owlv2"])
    assert found.label == "red"
    assert found.score == pytest.approx(0.982, abs=1e-3)
    monkeypatch.setattr("tui.commands.detect.open_session", None)
    path, marked = tmp_path / "photo.png", tmp_path / "marked.png"
    red(400, 160).save(path)
    asked = ["detect", str(path), "--detector", str(folders["owlvit"])]
    assert main([*asked, "red", "-o", str(marked)]) == 0
    assert capsys.readouterr().out.split()[:6] == ["what", "left", "top", "right", "bottom", "score"]
    assert marked.exists()
    assert main([*asked, "red", "all", "--threshold", "0.9", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["detections"]
    assert told["box"] == pytest.approx(BOX, abs=5)
    assert main([*asked, "circle"]) == 1
    assert main(["detect", str(path), "red", "--threshold", "0.5"]) == 2
