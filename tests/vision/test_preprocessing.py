"""Pictures reach the encoder as the reference processors would have made them: resizing, cutting, normalizing, and the
text around them. Of libmtmd alone, SmolVLM's do; the others are prepared first (edgeai/vision/prepare.py)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeai import LoadOptions, Message, Session
from edgeai.backends.llama import LlamaBackend
from edgeai.context_window import ContextWindow, template_of
from edgeai.gguf_header import read_header
from edgeai.gguf_projector import MAX_PICTURE_TOKENS, input_width, read_projector
from edgeai.media import MAX_PICTURE_SIDE, Medium
from edgeai.vision.prepare import prepared, seen_size
from quantize import Options, quantize
from tests.vision.encoder_pixels import F32, Eyes, opened_eyes
from tests.vision.real_eyes import (
    FAMILIES,
    LAYOUT_SIZES,
    ORACLE,
    QUESTION,
    SAMPLES,
    SIZES,
    U8,
    picture,
    preprocessor,
    real_checkpoint,
    sampled,
)

REFERENCE: dict[str, dict[str, Any]] = json.loads(ORACLE.read_text("utf-8"))["families"]
STEP = 2 / 255  # of a normalized value, where the standard deviation is a half


@dataclass(frozen=True)
class Made:
    """A family's model: two files, and what is known of it."""

    family: str
    text: Path
    projector: Path
    architecture: str
    n_tokens: int

    def prepared(self, size: tuple[int, int]) -> Medium:
        medium = Medium.picture(picture(*size).tobytes(), *size)
        return prepared(medium, self.architecture, self.n_tokens)


@pytest.fixture(scope="module", params=FAMILIES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, family = tmp_path_factory.mktemp("eyes"), str(request.param)
    artifact = quantize(real_checkpoint(folder / family, family), folder / "made" / "text.gguf", Options(ftype="Q8_0"))
    assert artifact.projector is not None
    text = read_header(artifact.path)
    projector = read_projector(artifact.projector.path, input_width(text), text.architecture)
    return Made(family, artifact.path, projector.path, text.architecture, projector.n_picture_tokens)


@pytest.fixture
def eyes(made: Made) -> Iterator[Eyes]:
    options = {"image_max_tokens": MAX_PICTURE_TOKENS} if made.family.startswith("qwen") else {}
    with opened_eyes(made.text, made.projector, **options) as eyes:
        yield eyes


def pixels_of(medium: Medium) -> U8:
    return np.frombuffer(medium.data, np.uint8).reshape(medium.height, medium.width, 3)


def normalized(family: str) -> tuple[F32, F32]:
    """Mean and standard deviation of its processor. [3, 1]"""
    mean, std = (np.array(preprocessor(family)[name], np.float32)[:, None] for name in ("image_mean", "image_std"))
    return mean, std


def differences(parts: list[F32], family: str, size: tuple[int, int]) -> tuple[float, float]:
    """The largest and the mean difference from the reference, of values before they are normalized, 0..1."""
    mean, std = normalized(family)
    with np.load(SAMPLES) as file:
        expected = (file[f"{family}-{size[0]}x{size[1]}"].astype(np.float32) / 255 - mean) / std
    ours = np.stack([sampled(part) for part in parts])  # type: ignore[arg-type]
    found = np.abs(ours - expected) * std
    return float(found.max()), float(found.mean())


def digests(parts: list[F32], family: str) -> list[str]:
    """Of all values, in steps of eight bits."""
    mean, std = (values[:, :, None] for values in normalized(family))
    steps = [np.rint((part * std + mean) * 255).astype(np.uint8) for part in parts]
    return [hashlib.sha256(part.tobytes()).hexdigest()[:16] for part in steps]


def test_the_encoder_gets_what_the_reference_processor_makes(made: Made, eyes: Eyes) -> None:
    for size in SIZES:
        expected = REFERENCE[made.family][f"{size[0]}x{size[1]}"]
        parts = eyes.pixels(pixels_of(made.prepared(size)))
        assert [list(part.shape) for part in parts] == [expected["shape"]] * len(expected["digests"]), size
        largest, _ = differences(parts, made.family, size)
        assert largest < 1e-6, size
        assert digests(parts, made.family) == expected["digests"], size


def test_what_libmtmd_makes_of_a_picture_alone_is_why_they_are_prepared(made: Made, eyes: Eyes) -> None:
    size = (300, 200)
    parts, expected = eyes.pixels(picture(*size)), REFERENCE[made.family]["300x200"]
    same_shape = list(parts[0].shape) == expected["shape"]
    if made.family == "smolvlm2":
        assert digests(parts, made.family) == expected["digests"]
    elif made.family == "qwen3-vl":
        assert not same_shape, "it is made smaller than the reference makes it"
    else:
        assert same_shape
        assert differences(parts, made.family, size)[1] > 10 / 255, "black bars"
        assert np.ptp(parts[0][0, :4]) < 1e-6 or np.ptp(parts[0][0, :, :4]) < 1e-6


def test_the_text_around_a_picture_is_the_reference_processors(made: Made) -> None:
    options = LoadOptions(mmproj_path=str(made.projector), n_batch=512, n_ubatch=512, n_threads=1)
    backend = LlamaBackend(
        made.text, options, n_ctx=2048, max_threads=1, max_picture_ratio=200, n_picture_tokens=made.n_tokens
    )
    try:
        window = ContextWindow(backend, template_of(backend.info, None, made.family))
        for size in LAYOUT_SIZES:
            medium = Medium.picture(picture(*size).tobytes(), *size)
            prompt = window.build([Message("user", QUESTION, media=(medium,))])
            assert prompt.media == (made.prepared(size),)
            layout = REFERENCE[made.family][f"{size[0]}x{size[1]}"]["layout"]
            assert runs(backend, list(prompt.tokens)) == layout, size
    finally:
        backend.close()


def runs(backend: LlamaBackend, tokens: list[int]) -> list[str | int]:
    """Texts and, in turn, numbers of tokens that stand for a picture between them."""
    found: list[str | int] = []
    while tokens:
        seen = tokens[0] < 0
        n = next((at for at, token in enumerate(tokens) if (token < 0) != seen), len(tokens))
        found.append(n if seen else backend.detokenize(tokens[:n]))
        tokens = tokens[n:]
    return found


@pytest.mark.parametrize(("architecture", "factor", "least"), [("qwen2vl", 28, 8 * 28**2), ("qwen3vl", 32, 65_536)])
@pytest.mark.parametrize("max_tokens", [64, 1024, 4096])
def test_sizes_are_whole_tokens_and_stay_as_they_are(
    architecture: str, factor: int, least: int, max_tokens: int
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        width = int(2 ** rng.uniform(0, 14))
        height = min(max(1, int(width * 2 ** rng.uniform(-8, 8))), MAX_PICTURE_SIDE)
        size = wide, high = seen_size(width, height, architecture, max_tokens)
        if size == (width, height):  # nothing is to be done, or it is refused
            continue
        assert wide % factor == high % factor == 0 < min(size)
        assert max(size) <= 200 * min(size)
        assert wide * high <= max_tokens * factor**2 or min(size) == factor, (width, height)
        if max_tokens > 64:  # less than which Qwen3-VL's smallest pictures do not have
            assert wide * high >= least, (width, height)
            assert seen_size(*size, architecture, max_tokens) == size or min(size) == factor


def test_a_model_of_which_nothing_is_known_gets_the_picture_as_it_is() -> None:
    medium, sound = Medium.picture(bytes(3 * 20 * 10), 20, 10), Medium.sound(bytes(4 * 800))
    for architecture, n_tokens in (("llama", 64), ("gemma3", 0), ("gemma3", 36)):  # 36: one that was trained with bars
        assert prepared(medium, architecture, n_tokens) is medium
    assert prepared(sound, "qwen2vl") is sound


def test_a_session_counts_and_asks_about_the_picture_as_it_is_to_be_seen(tmp_path: Path) -> None:
    made, pixels = quantize(real_checkpoint(tmp_path / "qwen3-vl", "qwen3-vl"), tmp_path / "a.gguf"), picture(97, 61)
    with Session(made.path, n_threads=1, n_ctx=512) as session:
        assert session.count_picture_tokens(Image.fromarray(pixels)) == 77 + 2  # and the words around it
        alone = session.chat(QUESTION, max_tokens=1).usage.prompt_tokens
        session.reset()
        seen = session.chat(QUESTION, images=[Image.fromarray(pixels)], max_tokens=1).usage.prompt_tokens
        assert seen == alone + 79
