"""PLaMo 2: Mamba layers and attention layers in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gguf import GGUFValueType

from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.plamo_parts import (
    MAX_LAYERS,
    Part,
    Values,
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

_DEFAULTS = {
    "hidden_size": 4096,
    "intermediate_size": 13312,
    "max_position_embeddings": 2048,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "hidden_size_per_head": 128,
    "mamba_d_state": 64,
    "mamba_d_conv": 4,
    "mamba_num_heads": 64,
    "mamba_step": 2,
}


class Plamo2:
    """`Plamo2ForCausalLM`, llama.cpp's `plamo2`.

    `attention.head_count` is one number for all layers where the official converter writes a list with 0 for the
    Mamba layers: llama.cpp takes the rotary width from layer 0, a Mamba layer, and with 0 heads there its rotary
    kernel never ends. Mamba layers are told by `attention.head_count_kv`, which is a list in both.
    """

    architectures = ("Plamo2ForCausalLM", "PLaMo2ForCausalLM")
    arch = "plamo2"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = checkpoint.config
        n_kv = _size(config, "num_key_value_heads")
        heads = [0 if is_mamba(config, layer) else n_kv for layer in range(_n_layer(config))]
        n_embd_head, n_ssm_head = _size(config, "hidden_size_per_head"), _size(config, "mamba_num_heads")
        return [
            u32("plamo2.vocab_size", whole(config, "vocab_size")),
            Meta("plamo2.attention.head_count_kv", heads, GGUFValueType.ARRAY, GGUFValueType.INT32),
            u32("plamo2.attention.head_count", _size(config, "num_attention_heads")),
            u32("plamo2.context_length", _size(config, "max_position_embeddings")),
            u32("plamo2.embedding_length", _size(config, "hidden_size")),
            u32("plamo2.attention.key_length", n_embd_head),
            u32("plamo2.attention.value_length", n_embd_head),
            u32("plamo2.block_count", len(heads)),
            f32("plamo2.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps", 1e-6)),
            f32("plamo2.rope.freq_base", number(rope_parameters(config)[0], "rope_theta", 10000.0)),
            u32("plamo2.ssm.state_size", _size(config, "mamba_d_state")),
            u32("plamo2.ssm.conv_kernel", _size(config, "mamba_d_conv")),
            u32("plamo2.ssm.time_step_rank", n_ssm_head),
            u32("plamo2.ssm.inner_size", n_ssm_head * n_embd_head),
            u32("plamo2.ssm.group_count", 0),
            u32("plamo2.feed_forward_length", _size(config, "intermediate_size")),
        ]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = checkpoint.config
        n_embd, n_vocab = _size(config, "hidden_size"), whole(config, "vocab_size")
        parts = {
            "model.embed_tokens.weight": Part("token_embd.weight", (n_vocab, n_embd)),
            "model.norm.weight": Part("output_norm.weight", (n_embd,), plus(1.0)),
            "lm_head.weight": Part("output.weight", (n_vocab, n_embd)),
        }
        for layer in range(_n_layer(config)):
            mixer = _mamba(config) if is_mamba(config, layer) else _attention(config)
            parts |= in_layer(layer, mixer | block(n_embd, _size(config, "intermediate_size")))
        tied = config.get("tie_word_embeddings", True)
        return arranged(checkpoint, parts, may_lack=("lm_head.weight",) if tied else ())


def is_mamba(config: Mapping[str, Any], layer: int) -> bool:
    """Whether a layer is a Mamba layer: all but every `mamba_step`-th, or but the last of a very flat model."""
    if not config.get("mamba_enabled", True):
        return False
    n_layer, step = _n_layer(config), _size(config, "mamba_step")
    if n_layer <= step // 2:
        return layer != n_layer - 1
    return layer % step != step // 2


def _attention(config: Mapping[str, Any]) -> dict[str, Part]:
    n_embd, n_embd_head = _size(config, "hidden_size"), _size(config, "hidden_size_per_head")
    n_head, n_kv = _size(config, "num_attention_heads"), _size(config, "num_key_value_heads")
    return {
        "mixer.qkv_proj.weight": Part("attn_qkv.weight", ((n_head + 2 * n_kv) * n_embd_head, n_embd)),
        "mixer.q_weight": Part("attn_q_norm.weight", (n_head, n_embd_head)),
        "mixer.k_weight": Part("attn_k_norm.weight", (n_kv, n_embd_head)),
        "mixer.o_proj.weight": Part("attn_output.weight", (n_embd, n_head * n_embd_head)),
    }


def _mamba(config: Mapping[str, Any]) -> dict[str, Part]:
    n_embd, n_head = _size(config, "hidden_size"), _size(config, "mamba_num_heads")
    n_inner = n_head * _size(config, "hidden_size_per_head")
    n_state, n_conv = _size(config, "mamba_d_state"), _size(config, "mamba_d_conv")
    n_dt = max(64, n_embd // 16)  # not in config.json: modeling_plamo.py has it so
    return {
        "mixer.in_proj.weight": Part("ssm_in.weight", (2 * n_inner, n_embd)),
        "mixer.conv1d.weight": Part(
            "ssm_conv1d.weight", (n_inner, 1, n_conv), lambda values: values.squeeze(1), (n_inner, n_conv)
        ),
        "mixer.bcdt_proj.weight": Part("ssm_x.weight", (n_dt + 2 * n_state, n_inner)),
        "mixer.dt_proj.weight": Part("ssm_dt.weight", (n_head, n_dt)),
        "mixer.dt_bias": Part("ssm_dt.bias", (n_head,)),
        "mixer.A_log": Part("ssm_a", (n_head,), _decay),
        "mixer.D": Part("ssm_d", (n_head,)),
        "mixer.dt_norm_weight": Part("ssm_dt_norm", (n_dt,)),
        "mixer.B_norm_weight": Part("ssm_b_norm", (n_state,)),
        "mixer.C_norm_weight": Part("ssm_c_norm", (n_state,)),
        "mixer.out_proj.weight": Part("ssm_out.weight", (n_embd, n_inner)),
    }


def _decay(values: Values) -> Values:
    """-exp, rounded once. PyTorch's exponential, which the official converter uses, is off by one unit in the last
    place for about 1 % of float32 values, and for which of them depends on the processor. NumPy's is for 39 %.
    """
    decay: Values = -np.exp(values.astype(np.float64)).astype(values.dtype)
    return decay


def _n_layer(config: Mapping[str, Any]) -> int:
    return whole(config, "num_hidden_layers", at_most=MAX_LAYERS)


def _size(config: Mapping[str, Any], key: str) -> int:
    return whole(config, key, _DEFAULTS[key])
