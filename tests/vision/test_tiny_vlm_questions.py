"""The tiny model's pictures and questions: the same pixels everywhere, one right answer to each question."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from tests.vision.tiny_vlm.pictures import COLOURS, SIDE, Scene, Shape, draw, letterbox, random_scene
from tests.vision.tiny_vlm.questions import LANGUAGES, box_text, overlap, questions, read_box


def scenes(n: int) -> list[Scene]:
    chance = random.Random(5)
    return [random_scene(chance) for _ in range(n)]


def test_the_same_seed_draws_the_same_pixels_on_any_machine() -> None:
    digest = hashlib.sha256()
    for scene in scenes(60):
        digest.update(draw(scene).tobytes())
    assert digest.hexdigest() == "b4167576ec929b04e46b210e1e30cc0d8a7c917ee63b8207ad5ef91c1829709f"


def test_a_circle_has_the_area_and_the_colour_of_a_circle() -> None:
    circle = Shape("circle", "red", COLOURS["red"], 48, 48, 20)
    pixels = np.asarray(draw(Scene(SIDE, SIDE, (250, 250, 250), (circle,)))).astype(float)
    share = (250 - pixels[..., 1]) / (250 - COLOURS["red"][1])
    assert share.sum() == pytest.approx(np.pi * 20**2, rel=0.005)
    assert tuple(pixels[48, 48]) == COLOURS["red"]


@pytest.mark.parametrize("scene", scenes(40))
def test_a_box_holds_every_pixel_of_its_shape(scene: Scene) -> None:
    for index, shape in enumerate(scene.shapes):
        alone = Scene(scene.width, scene.height, scene.ground, (shape,))
        changed = np.asarray(letterbox(draw(alone))) != np.asarray(
            letterbox(draw(Scene(scene.width, scene.height, scene.ground, ())))
        )
        rows, columns = np.nonzero(changed.any(-1))
        drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert drawn == pytest.approx(shape.box, abs=1), (index, shape)


def test_a_wide_picture_gets_black_bars_above_and_below() -> None:
    scene = Scene(SIDE, 48, (255, 255, 255), ())
    for scale in (1, 2):
        square = np.asarray(letterbox(draw(Scene(scene.width, scene.height, scene.ground, (), scale))))
        assert square.shape == (SIDE, SIDE, 3)
        assert not square[:24].any()
        assert not square[72:].any()
        assert (square[24:72] == 255).all()


def test_no_question_about_a_scene_is_asked_twice() -> None:
    for scene in scenes(60):
        for language in LANGUAGES:
            texts = [question.text for question in questions(scene, language)]
            assert len(texts) == len(set(texts))


def test_a_box_in_its_own_words_covers_the_shape() -> None:
    for scene in scenes(60):
        for shape in scene.shapes:
            assert overlap(box_text(shape), shape) > 0.9


@pytest.mark.parametrize("text", ["", "1 2 3", "1 2 3 4 5", "a b c d", "1 2 3 -4", "30 30 20 20", "１ ２ ３ ４"])
def test_what_is_no_box_covers_nothing(text: str) -> None:
    shape = Shape("circle", "red", COLOURS["red"], 20, 20, 10)
    assert overlap(text, shape) == 0
    assert read_box("1 2 3 4") == (1, 2, 3, 4)
