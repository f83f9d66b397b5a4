"""Phi-2, and Phi-3 with what is built like it: Phi-3.5 and Phi-4, mini and larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from edgeai.safe_text import one_line
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import (
    Config,
    arranged_decoder,
    attention,
    biases,
    complete,
    head_dim,
    n_layer,
    norms,
    whole_model,
)
from quantize.families.parts import Part, f32, number, u32, whole
from quantize.families.rope import require_kind, require_plain, rope_parameters

_PHI2 = {"max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.5}
_PHI3 = {"max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5}


class Phi2:
    """llama.cpp's `phi2`."""

    architectures: Sequence[str] = ("PhiForCausalLM",)
    arch = "phi2"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`. llama.cpp's own default, "no token at the start", is written too."""
        config = complete(checkpoint, _PHI2)
        rope, _ = rope_parameters(config)
        require_plain(rope)
        n_head = whole(config, "num_attention_heads")
        return [
            u32("phi2.context_length", whole(config, "max_position_embeddings")),
            u32("phi2.embedding_length", whole(config, "hidden_size")),
            u32("phi2.feed_forward_length", _n_ff(config)),
            u32("phi2.block_count", n_layer(config)),
            u32("phi2.attention.head_count", n_head),
            u32("phi2.attention.head_count_kv", n_head),
            f32("phi2.attention.layer_norm_epsilon", number(config, "layer_norm_eps")),
            u32("phi2.rope.dimension_count", _n_rot(config, rope)),
            Meta("tokenizer.ggml.add_bos_token", False, GGUFValueType.BOOL),
        ]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = complete(checkpoint, _PHI2)
        n_embd, n_ff = whole(config, "hidden_size"), _n_ff(config)
        layer = attention(config)
        layer["self_attn.dense.weight"] = layer.pop("self_attn.o_proj.weight")
        layer["mlp.fc1.weight"] = Part("ffn_up.weight", (n_ff, n_embd))
        layer["mlp.fc2.weight"] = Part("ffn_down.weight", (n_embd, n_ff))
        layer |= norms(config, {"input_layernorm": "attn_norm"})
        layer |= biases(layer, [name.removesuffix(".weight") for name in layer])
        parts = whole_model(config, layer)
        parts["model.final_layernorm.weight"] = parts.pop("model.norm.weight")
        parts |= biases(parts, ["lm_head", "model.final_layernorm"])
        return arranged_decoder(checkpoint, config | {"tie_word_embeddings": False}, parts)


class Phi3:
    """llama.cpp's `phi3`."""

    architectures: Sequence[str] = ("Phi3ForCausalLM",)
    arch = "phi3"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`. A window of 0 tells Phi-4 from the others."""
        config = complete(checkpoint, _PHI3)
        rope, _ = _longrope(config)
        keys = [
            u32("phi3.context_length", whole(config, "max_position_embeddings")),
            u32("phi3.rope.scaling.original_context_length", whole(rope, "original_max_position_embeddings")),
            u32("phi3.embedding_length", whole(config, "hidden_size")),
            u32("phi3.feed_forward_length", whole(config, "intermediate_size")),
            u32("phi3.block_count", n_layer(config)),
            u32("phi3.attention.head_count", whole(config, "num_attention_heads")),
            u32("phi3.attention.head_count_kv", whole(config, "num_key_value_heads")),
            f32("phi3.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps")),
            u32("phi3.rope.dimension_count", _n_rot(config, rope)),
            f32("phi3.rope.freq_base", number(rope, "rope_theta")),
            u32(
                "phi3.attention.sliding_window", whole(config, "sliding_window") if config.get("sliding_window") else 0
            ),
        ]
        if rope["rope_type"] == "longrope":
            keys.append(f32("phi3.rope.scaling.attn_factor", _attention_factor(config, rope)))
        return keys

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = complete(checkpoint, _PHI3)
        _, factors = _longrope(config)
        return [*factors, *arranged_decoder(checkpoint, config, whole_model(config, _phi3_layer(config)))]


def _phi3_layer(config: Config) -> dict[str, Part]:
    n_embd, n_ff = whole(config, "hidden_size"), whole(config, "intermediate_size")
    n_qkv = sum(part.shape[0] for name, part in attention(config).items() if ".o_proj." not in name)
    return {
        "self_attn.qkv_proj.weight": Part("attn_qkv.weight", (n_qkv, n_embd)),
        "self_attn.o_proj.weight": Part("attn_output.weight", (n_embd, n_embd)),
        "mlp.gate_up_proj.weight": Part("ffn_up.weight", (2 * n_ff, n_embd)),
        "mlp.down_proj.weight": Part("ffn_down.weight", (n_embd, n_ff)),
        **norms(config, {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}),
    }


def _n_ff(config: Config) -> int:
    return whole(config, "intermediate_size", 4 * whole(config, "hidden_size"))


def _n_rot(config: Config, rope: dict[str, Any]) -> int:
    """How much of each head is rotated."""
    share = number(rope, "partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    n_rot = int(share * whole(config, "hidden_size")) // whole(config, "num_attention_heads")
    if not 2 <= n_rot <= head_dim(config) or n_rot % 2:
        raise CheckpointError(
            f"config.json: partial_rotary_factor = {share}, expected one that rotates an even part of heads of width "
            f"{head_dim(config)}: correct the file or fetch the checkpoint again"
        )
    return n_rot


def _longrope(config: Config) -> tuple[dict[str, Any], list[Tensor]]:
    """Phi-3's rotary embedding, and its factors for contexts longer and shorter than it was trained with.

    Early files call the type `su` or `yarn`.
    """
    rope, _ = rope_parameters(config)
    if rope["rope_type"] in ("su", "yarn"):
        rope["rope_type"] = "longrope"
    rope["original_max_position_embeddings"] = config["original_max_position_embeddings"]
    if require_kind(rope, ("default", "longrope")) == "default":
        return rope, []
    return rope, [_factors(rope, name, _n_rot(config, rope)) for name in ("long", "short")]


def _factors(rope: dict[str, Any], name: str, n_rot: int) -> Tensor:
    saved = rope.get(f"{name}_factor")
    numbers = isinstance(saved, list) and all(
        isinstance(each, int | float) and not isinstance(each, bool) and 1e-30 < each < 1e30 for each in saved
    )
    if not isinstance(saved, list) or not numbers or len(saved) != n_rot // 2:
        raise CheckpointError(
            f"config.json: rope_scaling.{name}_factor = {one_line(str(saved))[:40]}, expected {n_rot // 2} positive "
            "numbers, one for each rotated pair: correct the file or fetch the checkpoint again"
        )
    values = np.array(saved, dtype=np.float32)
    return Tensor(f"rope_factors_{name}.weight", values.shape, "F32", lambda: values)


def _attention_factor(config: Config, rope: dict[str, Any]) -> float:
    """What attention is scaled by for a stretched context.

    Source: transformers, modeling_rope_utils.py, the type "longrope".
    """
    original = whole(rope, "original_max_position_embeddings")
    scale = whole(config, "max_position_embeddings") / original
    return math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1.0 and original > 1 else 1.0
