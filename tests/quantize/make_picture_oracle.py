"""What transformers makes of a picture, for `make_oracle`: torch and transformers are needed."""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.quantize.tiny_weights import F32


def picture_embeddings(folder: Path, picture: NDArray[np.uint8]) -> F32:
    """The input of the text model in the place of a picture that has the encoder's own size: nothing is resized.

    Returns:
        [n_tokens, n_embd]; of Qwen 3 VL what goes to its first layers stands behind that. [n_tokens, 3 * n_embd]
    """
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    prepared = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    values = (picture / 255 - np.array(prepared["image_mean"])) / np.array(prepared["image_std"])
    pixels = torch.tensor(values.astype(np.float32).transpose(2, 0, 1))  # [3, height, width]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seeing = transformers.AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
        )
        if patch := prepared.get("patch_size"):
            found = seeing.get_image_features(*_patches(torch, pixels, patch))
        elif "max_image_size" in prepared:
            found = seeing.model.get_image_features(pixels[None, None], torch.ones(1, 1, *pixels.shape[1:], dtype=bool))
        else:
            found = seeing.get_image_features(pixels[None])
        parts = [found.pooler_output, *(getattr(found, "deepstack_features", None) or ())]
        rows = [
            torch.cat(list(part)) if isinstance(part, tuple | list) else part.reshape(-1, part.shape[-1])
            for part in parts
        ]
        embeddings: F32 = torch.cat(rows, dim=1).numpy()
    return embeddings


def _patches(torch: Any, pixels: Any, patch: int) -> tuple[Any, Any]:
    """As Qwen's processor hands pictures over: patches of two frames, in squares of four, and how many there are."""
    n = pixels.shape[1] // patch
    frames = torch.stack([pixels, pixels]).reshape(2, 3, n // 2, 2, patch, n // 2, 2, patch)
    rows = frames.permute(2, 5, 3, 6, 1, 0, 4, 7).reshape(n * n, -1)  # [n * n, 3 * 2 * patch * patch]
    return rows, torch.tensor([[1, n, n]])
