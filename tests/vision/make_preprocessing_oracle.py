"""Writes `oracle/preprocessing.json` and `.npz`: what the reference processors make of `real_eyes.picture`.

Run by hand, from the repository's root, in an environment with transformers (its Pillow variants, which need no
torchvision), tokenizers, sentencepiece and what the tests need beside the runtime:

    python -m tests.vision.make_preprocessing_oracle

For each family and size the JSON has the `shape` of the parts, in the order of the text model's tokens, and the
SHA-256 of all of them in steps of eight bits (`digests`), from which `image_mean` and `image_std` make the reference's
own numbers again: that is asserted here. `layout` is what the processor makes of a question about the picture: the
text around each run of the tokens that stand for pictures, and the lengths of those runs.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

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

_MODELS = "transformers.models"
_IMAGE_PROCESSORS: Mapping[str, str] = {
    "smolvlm2": "idefics3.image_processing_pil_idefics3.Idefics3ImageProcessorPil",
    "gemma3-vision": "gemma3.image_processing_pil_gemma3.Gemma3ImageProcessorPil",
    "qwen2.5-vl": "qwen2_vl.image_processing_pil_qwen2_vl.Qwen2VLImageProcessorPil",
    "qwen3-vl": "qwen2_vl.image_processing_pil_qwen2_vl.Qwen2VLImageProcessorPil",
}
_IMAGE_WORDS = {
    "smolvlm2": "<image>",
    "gemma3-vision": "<image_soft_token>",
    "qwen2.5-vl": "<|image_pad|>",
    "qwen3-vl": "<|image_pad|>",
}
_CHATML = "<|im_start|>user\n{}" + QUESTION + "<|im_end|>\n<|im_start|>assistant\n"
_GEMMA = "<bos><start_of_turn>user\n{}" + QUESTION + "<end_of_turn>\n<start_of_turn>model\n"
_ASKED = {
    "smolvlm2": _CHATML.format("<image>"),
    "gemma3-vision": _GEMMA.format("<start_of_image>"),
    "qwen2.5-vl": _CHATML.format("<|vision_start|><|image_pad|><|vision_end|>"),
    "qwen3-vl": _CHATML.format("<|vision_start|><|image_pad|><|vision_end|>"),
}


def main() -> None:
    """Write both files."""
    found: dict[str, Any] = {"transformers": importlib.metadata.version("transformers"), "families": {}}
    samples: dict[str, U8] = {}
    for family in FAMILIES:
        module, _, name = f"{_MODELS}.{_IMAGE_PROCESSORS[family]}".rpartition(".")
        image_processor = getattr(importlib.import_module(module), name).from_dict(preprocessor(family))
        found["families"][family] = pictures = {}
        for width, height in SIZES:
            key = f"{width}x{height}"
            parts = [_in_steps(part, family) for part in _parts(image_processor, family, picture(width, height))]
            samples[f"{family}-{key}"] = np.stack([sampled(part) for part in parts])
            digests = [hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()[:16] for part in parts]
            pictures[key] = {"shape": list(parts[0].shape), "digests": digests}
            assert {part.shape for part in parts} == {parts[0].shape}
        with tempfile.TemporaryDirectory() as folder:
            processor = _processor(family, image_processor, real_checkpoint(Path(folder) / family, family))
        for width, height in LAYOUT_SIZES:
            pictures[f"{width}x{height}"]["layout"] = _layout(processor, family, picture(width, height))
    ORACLE.parent.mkdir(exist_ok=True)
    ORACLE.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    np.savez_compressed(SAMPLES, allow_pickle=False, **samples)


def _parts(image_processor: Any, family: str, pixels: U8) -> list[NDArray[Any]]:
    """The parts of a picture. [n_parts] of [3, height, width]"""
    made = image_processor(images=[pixels], return_tensors="np")
    values = np.asarray(made["pixel_values"])
    if not family.startswith("qwen"):
        return list(values.reshape(-1, *values.shape[-3:]))
    side, (_, n_high, n_wide) = image_processor.patch_size, made["image_grid_thw"][0]
    squares = values.reshape(n_high // 2, n_wide // 2, 2, 2, 3, 2, side, side)
    assert (squares[:, :, :, :, :, 0] == squares[:, :, :, :, :, 1]).all(), "two frames that are not the same"
    return [squares[:, :, :, :, :, 0].transpose(4, 0, 2, 5, 1, 3, 6).reshape(3, n_high * side, n_wide * side)]


def _in_steps(part: NDArray[Any], family: str) -> U8:
    """The numbers of a part before they were normalized, which they are whole: 0..255."""
    prepared = preprocessor(family)
    mean, std = (np.array(prepared[name])[:, None, None] for name in ("image_mean", "image_std"))
    steps = np.rint((part * std + mean) * 255)
    assert np.abs((steps / 255 - mean) / std - part).max() < 1e-6
    made: U8 = steps.astype(np.uint8)
    return made


def _processor(family: str, image_processor: Any, folder: Path) -> Any:
    transformers: Any = importlib.import_module("transformers")
    if family == "gemma3-vision":
        tokenizer = transformers.GemmaTokenizer.from_pretrained(folder)
        words = {"boi": "<start_of_image>", "eoi": "<end_of_image>", "image": "<image_soft_token>"}
        tokenizer.add_special_tokens({"extra_special_tokens": list(words.values())})
        for name, word in words.items():
            setattr(tokenizer, f"{name}_token", word)
            setattr(tokenizer, f"{name}_token_id", tokenizer.convert_tokens_to_ids(word))
        return transformers.Gemma3Processor(image_processor, tokenizer, image_seq_length=256)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    if family == "smolvlm2":
        return transformers.Idefics3Processor(image_processor, tokenizer, image_seq_len=64)
    made = {"qwen2.5-vl": transformers.Qwen2_5_VLProcessor, "qwen3-vl": transformers.Qwen3VLProcessor}[family]
    with patch.object(made, "check_argument_for_proper_class"):  # its part for videos needs torchvision
        return made(image_processor, tokenizer, None)


def _layout(processor: Any, family: str, pixels: U8) -> list[str | int]:
    """Texts and, in turn, numbers of tokens that stand for a picture between them."""
    made = processor(images=[pixels], text=[_ASKED[family]], add_special_tokens=False)
    text = processor.tokenizer.decode(made["input_ids"][0], skip_special_tokens=False)
    layout: list[str | int] = []
    word = _IMAGE_WORDS[family]
    for piece in re.split(f"((?:{re.escape(word)})+)", text):
        layout.append(len(piece) // len(word) if piece.startswith(word) else piece)
    return layout


if __name__ == "__main__":
    main()
