"""PLaMo 3: attention layers only, most of them with a sliding window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.plamo_parts import (
    MAX_LAYERS,
    Part,
    arranged,
    block,
    f32,
    in_layer,
    number,
    plus,
    rope_parameters,
    u32,
    whole,
)

_YARN_OPTIONS = {
    "yarn_ext_factor": "extrapolation_factor",
    "yarn_attn_factor": "attention_factor",
    "yarn_beta_fast": "beta_fast",
    "yarn_beta_slow": "beta_slow",
}


class Plamo3:
    """`Plamo3ForCausalLM`, llama.cpp's `plamo3`."""

    architectures = ("Plamo3ForCausalLM", "PLaMo3ForCausalLM")
    arch = "plamo3"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = checkpoint.config
        keys = [
            u32("plamo3.block_count", whole(config, "num_hidden_layers", at_most=MAX_LAYERS)),
            u32("plamo3.context_length", whole(config, "max_position_embeddings")),
            u32("plamo3.embedding_length", whole(config, "hidden_size")),
            u32("plamo3.feed_forward_length", whole(config, "intermediate_size")),
            u32("plamo3.attention.head_count", whole(config, "num_attention_heads")),
            u32("plamo3.attention.head_count_kv", whole(config, "num_key_value_heads")),
            *_rope(config),
            f32("plamo3.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps")),
        ]
        if "head_dim" in config:
            keys.append(u32("plamo3.attention.key_length", whole(config, "head_dim")))
            keys.append(u32("plamo3.attention.value_length", whole(config, "head_dim")))
        keys.append(u32("plamo3.vocab_size", whole(config, "vocab_size")))
        window = "window_size" if "window_size" in config else "sliding_window"
        if config.get(window) is not None:
            keys.append(u32("plamo3.attention.sliding_window", whole(config, window)))
            keys.append(u32("plamo3.attention.sliding_window_pattern", whole(config, "sliding_window_pattern")))
        return keys

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = checkpoint.config
        n_embd, n_vocab = whole(config, "hidden_size"), whole(config, "vocab_size")
        parts = {
            "model.embed_tokens.weight": Part("token_embd.weight", (n_vocab, n_embd)),
            "model.norm.weight": Part("output_norm.weight", (n_embd,), plus(1.0)),
            "lm_head.weight": Part("output.weight", (n_vocab, n_embd)),
        }
        for layer in range(whole(config, "num_hidden_layers", at_most=MAX_LAYERS)):
            parts |= in_layer(layer, _attention(config) | block(n_embd, whole(config, "intermediate_size")))
        tied = config.get("tie_word_embeddings", True)
        return arranged(checkpoint, parts, may_lack=("lm_head.weight",) if tied else ())


def _attention(config: Mapping[str, Any]) -> dict[str, Part]:
    n_embd, n_head = whole(config, "hidden_size"), whole(config, "num_attention_heads")
    n_kv = whole(config, "num_key_value_heads")
    n_embd_head = whole(config, "head_dim", n_embd // n_head)
    return {
        "mixer.qkv_proj.weight": Part("attn_qkv.weight", ((n_head + 2 * n_kv) * n_embd_head, n_embd)),
        "mixer.q_norm.weight": Part("attn_q_norm.weight", (n_embd_head,), plus(1.0)),
        "mixer.k_norm.weight": Part("attn_k_norm.weight", (n_embd_head,), plus(1.0)),
        "mixer.o_proj.weight": Part("attn_output.weight", (n_embd, n_head * n_embd_head)),
    }


def _rope(config: Mapping[str, Any]) -> list[Meta]:
    """Rotary embedding: the scaling and the base of the full layers, then the base of those with a window."""
    rope, local_theta = rope_parameters(config)
    if "rope_type" not in rope and config.get("rope_scaling_factor") not in (None, 1):
        rope |= {
            "rope_type": "yarn",
            "factor": config["rope_scaling_factor"],
            "original_max_position_embeddings": config.get("initial_context_length"),
            "beta_fast": 32.0,
            "beta_slow": 1.0,
        }
    keys = _scaling(rope)
    if "rope_theta" in rope:
        keys.append(f32("plamo3.rope.freq_base", number(rope, "rope_theta")))
    if local_theta is not None:
        keys.append(f32("plamo3.rope.freq_base_swa", local_theta))
    return keys


def _scaling(rope: Mapping[str, Any]) -> list[Meta]:
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return []
    if kind not in ("yarn", "linear"):
        raise CheckpointError(
            f"config.json: rope_type = {str(kind)[:40]}, expected default, linear or yarn for PLaMo 3: "
            "choose another checkpoint"
        )
    keys = [
        Meta("plamo3.rope.scaling.type", kind, GGUFValueType.STRING),
        f32("plamo3.rope.scaling.factor", number(rope, "factor")),
    ]
    if kind == "yarn":
        original = whole(rope, "original_max_position_embeddings")
        keys.append(u32("plamo3.rope.scaling.original_context_length", original))
        for key, option in _YARN_OPTIONS.items():
            if rope.get(option) is not None:
                keys.append(f32(f"plamo3.rope.scaling.{key}", number(rope, option)))
    return keys
