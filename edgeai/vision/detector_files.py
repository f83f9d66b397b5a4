"""A detector's folder: config.json, preprocessor_config.json, tokenizer.json and model.onnx, each of a stranger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import ModelFormatError
from edgeai.regular_file import opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

NETWORKS = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx")
"""Where the network lies: as Optimum writes it, and as transformers.js does."""
MAX_NETWORK_BYTES = 2**31
MAX_SIDE = 2048
"""Pixels of a picture as a network sees it: their memory grows with the fourth power."""

_MAX_CONFIG_BYTES, _MAX_TOKENIZER_BYTES = 2**20, 2**26
_MIN_SIDE = 16
_ROUNDING = 1e-6
_GREY = 128  # below or beside the picture, as OWLv2's authors do it; transformers has had 0.5 too, and black since
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FILTERS = {0: "NEAREST", 1: "LANCZOS", 2: "BILINEAR", 3: "BICUBIC", 4: "BOX", 5: "HAMMING"}  # Pillow's numbers

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "owlvit": {"size": (768, 768), "resample": 3, "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD},
    "owlv2": {"size": (960, 960), "resample": 2, "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD},
    "grounding-dino": {"size": (800, 1333), "resample": 2, "image_mean": _IMAGENET_MEAN, "image_std": _IMAGENET_STD},
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What one kind of detector is given, and what it means by its boxes.

    Attributes:
        kind: config.json's model_type.
        size: height and width that pictures are brought to; of Grounding DINO the shorter side, and the most that the
            longer one may have.
        resample: the filter, Pillow's number.
        mean: of the three colours, 0..1.
        std: likewise.
        n_text: tokens of a text at most.
    """

    kind: str
    size: tuple[int, int]
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    n_text: int

    @property
    def is_joined(self) -> bool:
        """Whether all labels are one text."""
        return self.kind == "grounding-dino"

    @property
    def threshold(self) -> float:
        """The least score, unless another is asked for: those of transformers' examples."""
        return 0.25 if self.is_joined else 0.1

    def prepared(self, pixels: NDArray[np.uint8]) -> F32:
        """A picture as the network takes it in; [3, height, width].

        Args:
            pixels: [height, width, 3], RGB.
        """
        import numpy as np
        from PIL import Image

        image = Image.fromarray(pixels)
        if self.kind == "owlv2":
            square = Image.new("RGB", (max(image.size),) * 2, (_GREY,) * 3)
            square.paste(image, (0, 0))
            image = square
        height, width = self._seen_size(pixels.shape[0], pixels.shape[1])
        seen = np.asarray(image.resize((width, height), Image.Resampling(self.resample)), np.float32)
        scaled = (seen / 255 - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.asarray(scaled.transpose(2, 0, 1), np.float32, order="C")

    def in_picture(self, boxes: F32, width: int, height: int) -> F32:
        """Boxes in shares of the picture: left, top, right, bottom; [n, 4].

        Args:
            boxes: [n, 4]: middle and size, x before y, in shares of what the network sees.
            width: of the picture.
            height: likewise.
        """
        import numpy as np

        middle, half = boxes[:, :2], boxes[:, 2:] / 2
        edges = np.concatenate([middle - half, middle + half], axis=1)
        if self.kind == "owlv2":
            longer = max(width, height)
            edges = edges * np.tile(np.array([longer / width, longer / height], np.float32), 2)
        return np.asarray(np.clip(edges, 0, 1), np.float32)

    def _seen_size(self, height: int, width: int) -> tuple[int, int]:
        if not self.is_joined:
            return self.size
        shorter, most = self.size
        short, long = sorted((height, width))
        scale = min(shorter / short, most / long)
        short, long = max(1, round(short * scale)), max(1, int(long * scale + _ROUNDING))
        return (short, long) if height <= width else (long, short)


def layout_of(folder: Path) -> Layout:
    """How pictures and texts are given to a folder's network.

    Raises:
        ModelFormatError: a file is missing, or says what cannot be.
    """
    config = _json(folder, "config.json")
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in _DEFAULTS:
        raise ModelFormatError(f"config.json: model_type = {kind!r:.60}: expected one of {', '.join(_DEFAULTS)}")
    asked = {**_DEFAULTS[kind], **_json(folder, "preprocessor_config.json")}
    for step in ("do_resize", "do_rescale", "do_normalize"):
        if asked.get(step, True) is not True:
            raise ModelFormatError(f"preprocessor_config.json: {step} = {asked[step]!r:.60}: expected true")
    crop = asked.get("crop_size") if asked.get("do_center_crop") is True else None
    if crop not in (None, asked["size"]):
        raise ModelFormatError(f"preprocessor_config.json: crop_size = {crop!r:.60}: expected nothing to be cut off")
    text = config.get("text_config")
    is_joined = kind == "grounding-dino"
    longest = config.get("max_text_len", 256) if is_joined else _in(text, "max_position_embeddings", 16)
    return Layout(
        kind=kind,
        size=_size(asked["size"], is_joined=is_joined),
        resample=_one_of(asked["resample"], _FILTERS),
        mean=_three("image_mean", asked["image_mean"], least=-10),
        std=_three("image_std", asked["image_std"], least=1e-3),
        n_text=_number("config.json: tokens of a text", longest, 2, 4096),
    )


def network_path(folder: Path) -> Path:
    """The network's file.

    Raises:
        ModelFormatError: there is none, or it is no regular file of a size that can be.
    """
    path = next((folder / name for name in NETWORKS if (folder / name).exists()), folder / NETWORKS[0])
    try:
        with opened(path, "a detector's network", MAX_NETWORK_BYTES, ModelFormatError):
            return path
    except ModelFormatError as exc:
        raise ModelFormatError(f"{path.relative_to(folder)}: {exc}") from exc.__cause__


def tokenizer_of(folder: Path) -> Any:
    """The folder's tokenizer, which neither cuts nor fills up.

    Raises:
        ModelFormatError: there is none that can be read.
    """
    import tokenizers

    data = _bytes(folder, "tokenizer.json", _MAX_TOKENIZER_BYTES)
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(data)
    except Exception as exc:  # tokenizers has no class of errors
        raise ModelFormatError(f"tokenizer.json: no tokenizer that can be read ({exc!s:.200}): fetch it again") from exc
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _bytes(folder: Path, name: str, max_bytes: int) -> bytes:
    try:
        with opened(folder / name, f"a detector's {name}", max_bytes, ModelFormatError) as (file, _):
            return file.read(max_bytes + 1)
    except ModelFormatError as exc:
        raise ModelFormatError(f"{name}: {exc}") from exc.__cause__


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(folder, name, _MAX_CONFIG_BYTES))
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, ModelFormatError):
            raise
        raise ModelFormatError(f"{name}: expected JSON, found none ({exc!s:.100}); fetch it again") from exc
    if not isinstance(found, dict):
        raise ModelFormatError(f"{name}: expected a JSON object, found a {type(found).__name__}")
    return found


def _in(table: Any, key: str, otherwise: Any) -> Any:
    return table.get(key, otherwise) if isinstance(table, dict) else otherwise


def _size(given: Any, *, is_joined: bool) -> tuple[int, int]:
    """Two sides out of the forms that transformers' processors have had."""
    name = "preprocessor_config.json: size"
    if isinstance(given, dict):
        keys = ("shortest_edge", "longest_edge") if is_joined else ("height", "width")
        first, second = (given.get(key) for key in keys)
    elif isinstance(given, (list, tuple)) and len(given) == 2:
        first, second = given
    else:
        first = second = given
    return _number(name, first, _MIN_SIDE, MAX_SIDE), _number(name, second, _MIN_SIDE, MAX_SIDE)


def _number(name: str, given: Any, least: int, most: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise ModelFormatError(f"{name} = {given!r:.60}: expected a number from {least} to {most:,}")
    return given


def _one_of(given: Any, known: Mapping[int, str]) -> int:
    if not isinstance(given, int) or given not in known:
        raise ModelFormatError(
            f"preprocessor_config.json: resample = {given!r:.60}: expected one of Pillow's filters, 0 to 5"
        )
    return int(given)


def _three(name: str, given: Any, *, least: float) -> tuple[float, float, float]:
    if (
        not isinstance(given, (list, tuple))
        or len(given) != 3
        or not all(isinstance(each, (int, float)) and least <= each <= 10 for each in given)
    ):
        raise ModelFormatError(f"preprocessor_config.json: {name} = {given!r:.60}: expected three numbers")
    first, second, third = (float(each) for each in given)
    return first, second, third
