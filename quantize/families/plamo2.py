"""PLaMo 2: Mamba layers and attention layers in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gguf import GGUFValueType

from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import Config, arranged_decoder, complete, n_layer
from quantize.families.parts import Part, Values, f32, number, u32, whole
from quantize.families.plamo_model import around_mixer, plamo_model
from quantize.families.rope import require_kind, rope_parameters

_DEFAULTS: Mapping[str, Any] = {
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
    "mamba_enabled": True,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}


class Plamo2:
    """`Plamo2ForCausalLM`, llama.cpp's `plamo2`.

    `attention.head_count` is one number for all layers where the official converter writes a list with 0 for the
    Mamba layers: llama.cpp takes the rotary width from layer 0, a Mamba layer, and with 0 heads there its rotary
    kernel never ends. Mamba layers are told by `attention.head_count_kv`, which is a list in both.
    """

    architectures: Sequence[str] = ("Plamo2ForCausalLM", "PLaMo2ForCausalLM")
    arch = "plamo2"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = complete(checkpoint, _DEFAULTS)
        rope, _ = rope_parameters(config)
        require_kind(rope, ("default",))
        n_kv = whole(config, "num_key_value_heads")
        heads = [0 if _is_mamba(config, layer) else n_kv for layer in range(n_layer(config))]
        n_embd_head, n_ssm_head = whole(config, "hidden_size_per_head"), whole(config, "mamba_num_heads")
        return [
            u32("plamo2.vocab_size", whole(config, "vocab_size")),
            Meta("plamo2.attention.head_count_kv", heads, GGUFValueType.ARRAY, GGUFValueType.INT32),
            u32("plamo2.attention.head_count", whole(config, "num_attention_heads")),
            u32("plamo2.context_length", whole(config, "max_position_embeddings")),
            u32("plamo2.embedding_length", whole(config, "hidden_size")),
            u32("plamo2.attention.key_length", n_embd_head),
            u32("plamo2.attention.value_length", n_embd_head),
            u32("plamo2.block_count", len(heads)),
            f32("plamo2.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps")),
            f32("plamo2.rope.freq_base", number(rope, "rope_theta")),
            u32("plamo2.ssm.state_size", whole(config, "mamba_d_state")),
            u32("plamo2.ssm.conv_kernel", whole(config, "mamba_d_conv")),
            u32("plamo2.ssm.time_step_rank", n_ssm_head),
            u32("plamo2.ssm.inner_size", n_ssm_head * n_embd_head),
            u32("plamo2.ssm.group_count", 0),
            u32("plamo2.feed_forward_length", whole(config, "intermediate_size")),
        ]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = complete(checkpoint, _DEFAULTS)
        mamba, attention = (mixer(config) | around_mixer(config) for mixer in (_mamba, _attention))
        parts = plamo_model(config, lambda layer: mamba if _is_mamba(config, layer) else attention, norm_offset=1.0)
        return arranged_decoder(checkpoint, config, parts)


def _is_mamba(config: Config, layer: int) -> bool:
    """Whether a layer is a Mamba layer: all but every `mamba_step`-th, or but the last of a very flat model."""
    if not config["mamba_enabled"]:
        return False
    n_layers, step = n_layer(config), whole(config, "mamba_step")
    if n_layers <= step // 2:
        return layer != n_layers - 1
    return layer % step != step // 2


def _attention(config: Config) -> dict[str, Part]:
    n_embd, n_embd_head = whole(config, "hidden_size"), whole(config, "hidden_size_per_head")
    n_head, n_kv = whole(config, "num_attention_heads"), whole(config, "num_key_value_heads")
    return {
        "mixer.qkv_proj.weight": Part("attn_qkv.weight", ((n_head + 2 * n_kv) * n_embd_head, n_embd)),
        "mixer.q_weight": Part("attn_q_norm.weight", (n_head, n_embd_head)),
        "mixer.k_weight": Part("attn_k_norm.weight", (n_kv, n_embd_head)),
        "mixer.o_proj.weight": Part("attn_output.weight", (n_embd, n_head * n_embd_head)),
    }


def _mamba(config: Config) -> dict[str, Part]:
    n_embd, n_head = whole(config, "hidden_size"), whole(config, "mamba_num_heads")
    n_inner = n_head * whole(config, "hidden_size_per_head")
    n_state, n_conv = whole(config, "mamba_d_state"), whole(config, "mamba_d_conv")
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
