"""Gemma 3: SigLIP, whose patches are averaged in squares, and one matrix behind a norm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gguf import GGUFValueType

from quantize.base import Checkpoint, Meta
from quantize.families.common import Config
from quantize.families.parts import Part, f32, number, plus, u32, whole
from quantize.projectors.common import (
    Parts,
    encoder_metadata,
    preprocessor,
    refuse,
    side,
    siglip_parts,
    vision_config,
    width_of,
)

_USUAL_POOLING = 4  # libmtmd's, where the file does not say
_SIGLIP: Mapping[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}


class Gemma3Vision:
    """libmtmd's `gemma3`."""

    architectures: Sequence[str] = ("Gemma3ForConditionalGeneration",)

    def metadata(self, checkpoint: Checkpoint, n_embd: int) -> list[Meta]:
        """See `Vision`."""
        config = vision_config(checkpoint, _SIGLIP)
        pooling = _pooling(checkpoint, config)
        keys = [
            *encoder_metadata(checkpoint, config, n_embd),
            Meta("clip.projector_type", "gemma3", GGUFValueType.STRING),
            f32("clip.vision.attention.layer_norm_epsilon", number(config, "layer_norm_eps")),
            Meta("clip.use_gelu", True, GGUFValueType.BOOL),
        ]
        if pooling != _USUAL_POOLING:
            keys.append(u32("clip.vision.projector.scale_factor", pooling))
        return keys

    def parts(self, checkpoint: Checkpoint, n_embd: int) -> Parts:
        """See `Vision`. The projection is stored as it is multiplied with, not as other matrices are."""
        config = vision_config(checkpoint, _SIGLIP)
        width = width_of(config)
        return siglip_parts(config) | {
            "multi_modal_projector.mm_input_projection_weight": Part("mm.input_projection.weight", (width, n_embd)),
            "multi_modal_projector.mm_soft_emb_norm.weight": Part("mm.soft_emb_norm.weight", (width,), plus(1.0)),
        }

    def kept_types(self, qtype: str) -> Mapping[str, str]:
        """See `Vision`. The projection is turned when it is used, which a quantized matrix cannot be."""
        return {"mm.input_projection.weight": "F16", "v.patch_embd.weight": "F32", "v.position_embd.weight": "F32"}


def _pooling(checkpoint: Checkpoint, config: Config) -> int:
    """Patches along a side that become one token.

    Raises:
        CheckpointError: the tokens do not fill a square of the patches.
    """
    said = {"mm_tokens_per_image": checkpoint.config.get("mm_tokens_per_image", 256)}
    said["mm_tokens_per_image"] = preprocessor(checkpoint).get("image_seq_length", said["mm_tokens_per_image"])
    n_tokens, n_patches = whole(said, "mm_tokens_per_image"), side(config)
    n_side = math.isqrt(n_tokens)
    if n_side**2 != n_tokens or n_patches % n_side:
        refuse("mm_tokens_per_image", n_tokens, f"the square of a divisor of {n_patches}, the patches along a side")
    return n_patches // n_side
