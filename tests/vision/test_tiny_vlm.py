"""A model that was really trained to see, from its Hugging Face folder through `quantize` to the session's answers."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from edgeai import Message, Session
from edgeai.backends.base import Finished, GenerateRequest
from edgeai.options import SamplingOptions
from edgeai.vision.grounding import GroundingStyle
from tests.vision.answers import TYPES, agreement, answered, opened, shown
from tests.vision.tiny_vlm.pictures import SIDE, draw
from tests.vision.tiny_vlm.reference import Asked, held_out, reference

STYLE = GroundingStyle(
    "Give the box of the {labels}.", "{left} {top} {right} {bottom}", 100, frame="square", each_label=True
)
N_PICTURES = 30


@pytest.fixture(scope="module")
def theirs() -> list[Asked]:
    """Questions as edgeai puts them, with transformers' answers."""
    asked = [one for one in reference() if one.form == "after_blank"]
    first = asked[0].picture
    assert first is not None
    some = [one for one in asked if one.picture is not None and one.picture < first + N_PICTURES]
    return some + [one for one in reference() if one.form == "none"][:20]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with opened("F16", tmp_path_factory.mktemp("eyes")) as session:
        yield session


@pytest.mark.parametrize("name", TYPES)
def test_it_sees_what_transformers_sees(name: str, theirs: list[Asked], tmp_path: Path) -> None:
    with opened(name, tmp_path) as session:
        assert session.info.sees
        found = agreement(answered(session, theirs), theirs)
    assert found.right_reference >= 0.98
    if name == "F16":
        assert found.same >= 0.99
        assert found.same_boxes >= 0.95
    least = {"F16": 0.01, "Q8_0": 0.01, "Q4_0": 0.03}[name]
    assert found.right >= found.right_reference - least
    assert found.overlap >= found.overlap_reference - 2 * least


@pytest.mark.parametrize("form", ["after", "before", "before_blank"])
def test_other_places_of_the_picture_give_transformers_answers(form: str, session: Session) -> None:
    """Prompts that no template of ours makes: the picture without blank lines, or behind the question."""
    same = []
    for one in islice((one for one in reference() if one.form == form), 0, 400, 5):
        assert one.picture is not None
        medium = shown(one.picture)
        gap = "\n\n" if form.endswith("blank") else ""
        before, after = (one.question.text, "") if form.startswith("before") else ("", one.question.text)
        backend = session._backend
        prompt = backend.tokenize(f"<bos><start_of_turn>user\n{before}{gap}", parse_special=True)
        prompt += backend.media_tokens(medium)
        prompt += backend.tokenize(f"{gap}{after}<end_of_turn>\n<start_of_turn>model\n", parse_special=True)
        options = SamplingOptions(temperature=0, max_tokens=24)
        *_, last = backend.generate(GenerateRequest(prompt, options, media=(medium,)))
        assert isinstance(last, Finished)
        same.append(backend.detokenize(last.tokens) == one.reference)
    assert statistics.fmean(same) >= 0.98


def test_boxes_are_where_the_shapes_are(session: Session) -> None:
    """In pixels of the picture as it is, whatever its shape; the model sees it with bars."""
    overlaps = []
    for number in range(300, 330):
        scene = held_out(number)
        picture, labels = draw(scene), [f"{shape.colour} {shape.kind}" for shape in scene.shapes]
        if len({*labels}) < len(labels):
            continue
        found = session.detect(picture, labels, style=STYLE)
        assert [detection.label for detection in found] == labels
        bars = (SIDE - scene.width) / 2, (SIDE - scene.height) / 2
        for shape, detection in zip(scene.shapes, found, strict=True):
            true = [(edge - bars[index % 2]) * scene.scale for index, edge in enumerate(shape.box)]
            overlaps.append(overlap(detection.box, true))
    assert len(overlaps) > 30
    assert statistics.fmean(overlaps) >= 0.85


def test_batches_smaller_than_a_picture_cannot_end_the_process(tmp_path: Path) -> None:
    """Gemma 3 evaluates a picture at once; llama.cpp ends the process where a batch cannot hold it."""
    with opened("F16", tmp_path, n_batch=8, n_ubatch=4) as session:
        response = session.chat("How many shapes are there?", images=[draw(held_out(300))], temperature=0, max_tokens=9)
        assert response.text == "one"


def test_a_second_question_about_a_picture_evaluates_only_itself(session: Session) -> None:
    medium = shown(300)
    first = session.chat(messages=[Message("user", "How many shapes are there?", media=(medium,))], temperature=0)
    first.wait()
    second = session.chat(messages=[Message("user", "Describe the picture.", media=(medium,))], temperature=0)
    assert second.text
    assert second.usage.cached_tokens >= 36 + len(["<bos>", "<start_of_turn>", "user", "<start_of_image>"])


def test_a_picture_in_an_older_turn_is_still_seen(session: Session) -> None:
    session.reset()
    scene = held_out(300)
    answer = session.chat("How many shapes are there?", images=[draw(scene)], temperature=0, max_tokens=24)
    assert answer.text == {1: "one", 2: "two"}[len(scene.shapes)]
    assert len(session.messages[0].media) == 1
    assert session.chat("Describe the picture.", temperature=0, max_tokens=24).usage.cached_tokens > 36
    session.reset()


def overlap(one: tuple[float, float, float, float], other: list[float]) -> float:
    """Intersection over union."""
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)
