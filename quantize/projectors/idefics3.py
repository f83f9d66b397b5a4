"""Idefics 3, SmolVLM and SmolVLM2: SigLIP, whose patches are stacked in squares, and one matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gguf import GGUFValueType

from quantize.base import Checkpoint, Meta
from quantize.families.common import Config
from quantize.families.parts import Part, f32, number, u32, whole
from quantize.projectors.common import (
    MOST_PIXELS,
    Parts,
    encoder_metadata,
    n_pixels,
    preprocessor,
    refuse,
    side,
    siglip_parts,
    vision_config,
    width_of,
)

_SIGLIP: Mapping[str, Any] = {
    "hidden_size": 1152,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}


class Idefics3Vision:
    """libmtmd's `idefics3`."""

    architectures: Sequence[str] = ("Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration")

    def metadata(self, checkpoint: Checkpoint, n_embd: int) -> list[Meta]:
        """See `Vision`. A picture is cut into tiles of `image_size`, out of one of the size that stands last here."""
        config = vision_config(checkpoint, _SIGLIP)
        size = preprocessor(checkpoint).get("size")
        longest = whole(
            size if isinstance(size, Mapping) else {}, "longest_edge", n_pixels(config), at_most=MOST_PIXELS
        )
        return [
            *encoder_metadata(checkpoint, config, n_embd),
            Meta("clip.projector_type", "idefics3", GGUFValueType.STRING),
            f32("clip.vision.attention.layer_norm_epsilon", number(config, "layer_norm_eps")),
            u32("clip.vision.projector.scale_factor", _stacking(checkpoint, config)),
            Meta("clip.use_gelu", True, GGUFValueType.BOOL),
            u32("clip.vision.preproc_image_size", longest),
        ]

    def parts(self, checkpoint: Checkpoint, n_embd: int) -> Parts:
        """See `Vision`."""
        config = vision_config(checkpoint, _SIGLIP)
        n_in = width_of(config) * _stacking(checkpoint, config) ** 2
        projection = "connector.modality_projection.proj.weight"
        return siglip_parts(config) | {projection: Part("mm.model.fc.weight", (n_embd, n_in))}

    def kept_types(self, qtype: str) -> Mapping[str, str]:
        """See `Vision`."""
        return {"v.patch_embd.weight": "F32", "v.position_embd.weight": "F32"}


def _stacking(checkpoint: Checkpoint, config: Config) -> int:
    """Patches along a side that become one token.

    Raises:
        CheckpointError: they do not fill the picture.
    """
    n_stacked, n_patches = whole(checkpoint.config, "scale_factor", 2), side(config)
    if n_patches % n_stacked:
        refuse("scale_factor", n_stacked, f"a divisor of {n_patches}, the patches along a side")
    return n_stacked
