"""What is kept of the tiny vision-language model: how well transformers answers with it, and its files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from itertools import pairwise

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.vision.tiny_vlm.reference import MODEL_DIR, N_PICTURES, Asked, reference

PICTURE = {"type": "image"}
TEXT = {"type": "text", "text": " Which shape is it? "}


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    return reference()


def mean(asked: list[Asked], chosen: Callable[[Asked], bool]) -> float:
    return statistics.fmean(one.score(one.reference) for one in asked if chosen(one))


@pytest.mark.parametrize("form", N_PICTURES)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_transformers_answers_right(asked: list[Asked], form: str, language: str) -> None:
    mine = [one for one in asked if one.form == form and one.question.language == language]
    assert mean(mine, lambda one: one.n_shapes == 1 and one.question.kind != "box") >= 0.99
    assert mean(mine, lambda one: one.n_shapes == 2 and one.question.kind != "box") >= 0.97
    assert mean(mine, lambda one: one.question.kind == "box") >= 0.85


def test_transformers_says_that_there_is_no_picture(asked: list[Asked]) -> None:
    assert mean(asked, lambda one: one.form == "none") == 1


def test_the_answers_hang_on_the_picture(asked: list[Asked]) -> None:
    """The answers for one picture, scored as those for the next that the same was asked of."""
    texts = [
        one for one in asked if one.n_shapes == 1 and one.question.kind in ("colour", "shape", "where", "describe")
    ]
    for kind in ("colour", "shape", "where", "describe"):
        mine = [one for one in texts if one.question.kind == kind and one.question.language == "en"]
        assert statistics.fmean(one.score(other.reference) for one, other in pairwise(mine)) < 0.4


@pytest.mark.parametrize("content", [[PICTURE, TEXT], [TEXT, PICTURE], "Which shape is it?"])
def test_the_chat_template_takes_text_and_parts(content: str | list[dict[str, str]]) -> None:
    environment = ImmutableSandboxedEnvironment()
    template = environment.from_string((MODEL_DIR / "chat_template.jinja").read_text(encoding="utf-8"))
    messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": "circle"},
        {"role": "user", "content": "How many shapes are there?"},
    ]
    shown = {"image": "<start_of_image>", "text": "Which shape is it?"}
    first = content if isinstance(content, str) else "".join(shown[part["type"]] for part in content)
    assert template.render(messages=messages, bos_token="<bos>", add_generation_prompt=True) == (
        f"<bos><start_of_turn>user\n{first}<end_of_turn>\n<start_of_turn>model\ncircle<end_of_turn>\n"
        "<start_of_turn>user\nHow many shapes are there?<end_of_turn>\n<start_of_turn>model\n"
    )


def test_the_folder_is_small_and_whole() -> None:
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"}
    names |= {"processor_config.json", "preprocessor_config.json", "chat_template.jinja", "generation_config.json"}
    assert {path.name for path in MODEL_DIR.iterdir()} == names
    assert (MODEL_DIR / "model.safetensors").stat().st_size < 4.5e6
    processor = json.loads((MODEL_DIR / "processor_config.json").read_text(encoding="utf-8"))
    assert processor["image_seq_length"] == processor["image_processor"]["image_seq_length"] == 36
