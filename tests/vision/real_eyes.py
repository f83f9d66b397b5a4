"""Checkpoints with the tiny weights of `tests.quantize` that take pictures in as the real ones of their families do.

Sizes of pictures, patches and tiles, and preprocessor_config.json, are those of SmolVLM2 500M, Gemma 3 4B, Qwen2.5-VL
3B and Qwen3-VL 2B; widths, depths and vocabularies are the tiny ones. What the reference processors make of `picture`
stands in `oracle/preprocessing.json` and `.npz`, written by `make_preprocessing_oracle`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from tests.quantize import tiny_vision
from tests.quantize.tiny_checkpoints import KINDS, tiny_checkpoint
from tests.quantize.tiny_families import Config

U8 = NDArray[np.uint8]

FAMILIES = ("smolvlm2", "gemma3-vision", "qwen2.5-vl", "qwen3-vl")
SIZES = ((97, 61), (61, 97), (1000, 37), (48, 48), (80, 112), (300, 200), (512, 512), (1300, 700))
"""Of the pictures, width and height."""
LAYOUT_SIZES = ((97, 61), (1000, 37), (1300, 700))
QUESTION = "What is it?"
ORACLE = Path(__file__).with_name("oracle") / "preprocessing.json"
SAMPLES = ORACLE.with_suffix(".npz")
_TEMPLATE = Path(__file__).with_name("tiny_vlm") / "chat_template.jinja"
N_SAMPLES = 96  # of each part of a picture, in each colour

_WORDS: Mapping[str, tuple[str, ...]] = {
    "smolvlm2": (
        *("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", "\n\n"),
        *(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)),
    ),
    "qwen2.5-vl": ("<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
    "qwen3-vl": ("<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
}
"""That stand around pictures, and that the tiny vocabularies lack."""
_PREPROCESSORS: Mapping[str, Mapping[str, Any]] = {
    "smolvlm2": {"max_image_size": {"longest_edge": 512}, "size": {"longest_edge": 2048}, "resample": 1},
    "gemma3-vision": {"size": {"height": 896, "width": 896}, "image_seq_length": 256},
    "qwen2.5-vl": {"min_pixels": 8 * 28**2},  # its own default is half of that; libmtmd goes no lower
}
_VISION: Mapping[str, Mapping[str, Any]] = {
    "smolvlm2": {"image_size": 512, "max_image_size": {"longest_edge": 512}, "patch_size": 16},
    "gemma3-vision": {"image_size": 896, "patch_size": 14},
    "qwen3-vl": {"num_position_embeddings": 2304},
}
_TOP: Mapping[str, Mapping[str, Any]] = {"smolvlm2": {"scale_factor": 4}, "gemma3-vision": {"mm_tokens_per_image": 256}}


def preprocessor(family: str) -> dict[str, Any]:
    """Its preprocessor_config.json."""
    kind = KINDS[family].preprocessor
    assert kind is not None
    return {**tiny_vision.PREPROCESSORS[kind], **_PREPROCESSORS.get(family, {})}


def real_checkpoint(folder: Path, family: str) -> Path:
    """Write one.

    Args:
        folder: is made.
        family: of FAMILIES.
    Returns:
        folder.
    """
    kind = KINDS[family]
    as_real = replace(kind, config=lambda: _config(kind.config, family))
    with patch.dict(KINDS, {family: as_real}):
        tiny_checkpoint(folder, family)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor(family)), "utf-8")
    if family == "gemma3-vision":  # the tiny one's template has no place for a picture
        file = folder / "tokenizer_config.json"
        settings = json.loads(file.read_text("utf-8")) | {"chat_template": _TEMPLATE.read_text("utf-8")}
        file.write_text(json.dumps(settings), "utf-8")
    if family in _WORDS:
        _add_words(folder / "tokenizer.json", _WORDS[family])
    return folder


def _config(tiny: Callable[[], Config], family: str) -> Config:
    config = tiny()
    config["vision_config"] = {**config["vision_config"], **_VISION.get(family, {})}
    text = config.get("text_config", config)
    text["max_position_embeddings"] = 2048
    return {**config, **_TOP.get(family, {})}


def _add_words(path: Path, words: tuple[str, ...]) -> None:
    tokenizer = json.loads(path.read_text("utf-8"))
    like, last = tokenizer["added_tokens"][0], max(token["id"] for token in tokenizer["added_tokens"])
    first = max(last + 1, len(tokenizer["model"]["vocab"]))
    tokenizer["added_tokens"] += [{**like, "id": first + at, "content": word} for at, word in enumerate(words)]
    path.write_text(json.dumps(tokenizer), "utf-8")


def picture(width: int, height: int) -> U8:
    """A picture with hard edges, noise and a slope. [height, width, 3]"""
    rng = np.random.default_rng(width * 10_000 + height)
    coarse = rng.integers(0, 256, (height // 7 + 1, width // 7 + 1, 3), np.uint8)
    blocks = coarse.repeat(7, axis=0).repeat(7, axis=1)[:height, :width].astype(np.int64)
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[None, :, None]
    slope = 255 * rows // height + 255 * columns // width
    mixed = (2 * blocks + slope + rng.integers(0, 120, (height, width, 3))) // 4
    return np.clip(mixed, 0, 255).astype(np.uint8)


def sampled(part: U8) -> U8:
    """Some of the values of a part of a picture, the same places each time. [3, height, width] to [3, N_SAMPLES]"""
    places = np.random.default_rng(0).integers(0, 2**32, N_SAMPLES) % (part.shape[1] * part.shape[2])
    found: U8 = part.reshape(3, -1)[:, places]
    return found
