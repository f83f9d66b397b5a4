"""A picture at the very size at which a model was trained to see it, so that libmtmd has nothing left to change.

libmtmd keeps a picture's shape and fills up with black bars where the processors that Gemma 3 and Qwen-VL were trained
with stretch it a little, or a lot; and it makes small pictures for Qwen3-VL smaller than they did. Its filters are
Pillow's, to the last bit, and SmolVLM's tiles are cut as they should be (tests/vision/test_preprocessing.py).

Source: smart_resize in image_processing_qwen2_vl.py, and image_processing_gemma3.py, of Hugging Face's transformers;
preprocessor_config.json of Qwen2.5-VL, Qwen3-VL and Gemma 3; mtmd-image.cpp and clip.cpp of ggml-org/llama.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgeai.media import Medium

_MAX_TOKENS = 4096
_MAX_RATIO = 200  # of sides: the engine refuses other pictures that are seen in their own shape, as smart_resize does
_GEMMA3, _GEMMA3_TOKENS, _GEMMA3_SIDE = "gemma3", 256, 896  # of all of Google's; others may be trained with bars


@dataclass(frozen=True, slots=True)
class _OwnShape:
    """Sizes of pictures that are seen in their own shape: a token is a square of `factor` pixels a side."""

    factor: int
    min_pixels: int


_QWEN2 = _OwnShape(28, 8 * 28**2)  # the least that libmtmd makes of a picture; four tokens for Qwen itself
_QWEN3 = _OwnShape(32, 65_536)
_OWN_SHAPES: Mapping[str, _OwnShape] = {"qwen2vl": _QWEN2, "qwen3vl": _QWEN3, "qwen3vlmoe": _QWEN3}
"""By llama.cpp's name of the text model."""


def prepared(medium: Medium, architecture: str, n_tokens: int = 0) -> Medium:
    """A picture as the model is to see it; itself where nothing is known of the model, or nothing is to do.

    Args:
        medium: the picture, with its pixels.
        architecture: llama.cpp's name of the text model.
        n_tokens: that the projector makes of a picture at most; 0 if that is not known.
    """
    size = seen_size(medium.width, medium.height, architecture, n_tokens)
    if size == medium.size:
        return medium
    from PIL import Image

    filter_ = Image.Resampling.BILINEAR if architecture == _GEMMA3 else Image.Resampling.BICUBIC
    image = Image.frombuffer("RGB", medium.size, medium.data, "raw", "RGB", 0, 1)
    return Medium.picture(image.resize(size, filter_).tobytes(), *size)


def seen_size(width: int, height: int, architecture: str, n_tokens: int = 0) -> tuple[int, int]:
    """The width and height at which the model is to see a picture. Arguments as of `prepared`."""
    if (architecture, n_tokens) == (_GEMMA3, _GEMMA3_TOKENS):
        return _GEMMA3_SIDE, _GEMMA3_SIDE
    shape = _OWN_SHAPES.get(architecture)
    if shape is None or not _is_taken(width, height):
        return width, height
    size = _in_own_shape(width, height, shape, n_tokens or _MAX_TOKENS)
    return size if _is_taken(*size) else (width, height)


def _is_taken(width: int, height: int) -> bool:
    return 0 < max(width, height) <= _MAX_RATIO * min(width, height)


def _in_own_shape(width: int, height: int, shape: _OwnShape, n_tokens: int) -> tuple[int, int]:
    factor, most = shape.factor, n_tokens * shape.factor**2
    wide, high = (round(side / factor) * factor for side in (width, height))
    if wide * high < shape.min_pixels:
        grow = math.sqrt(shape.min_pixels / (width * height))
        wide, high = (math.ceil(side * grow / factor) * factor for side in (width, height))
    if wide * high > most:
        shrink = math.sqrt(width * height / most)
        wide, high = (max(factor, math.floor(side / shrink / factor) * factor) for side in (width, height))
    return wide, high
