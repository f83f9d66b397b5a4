"""Llama and what is built like it: Llama 1 to 3.2, Mistral, SmolLM and SmolLM2, TinyLlama; SmolVLM's text part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import (
    Config,
    architecture,
    arranged_decoder,
    attention,
    biases,
    complete,
    decoder_metadata,
    feed_forward,
    head_dim,
    norms,
    whole_model,
)
from quantize.families.parts import Change, Part, Values, u32, whole
from quantize.families.rope import llama3_factors, rope_parameters

_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
_KINDS = ("default", "linear", "dynamic", "yarn", "llama3")
_LLAMA: Mapping[str, Any] = {"max_position_embeddings": 2048, "rms_norm_eps": 1e-6}
_SMOLVLM = ("Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration")
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "LlamaForCausalLM": _LLAMA,
    "LLaMAForCausalLM": _LLAMA,  # the first converted Llama 1
    "VLlama3ForCausalLM": {**_LLAMA, "num_attention_heads": 32},  # SmolVLM's
    **{name: {**_LLAMA, "rms_norm_eps": 1e-5} for name in _SMOLVLM},  # where their text_config names no class
    "MistralForCausalLM": {"max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "num_key_value_heads": 8},
}


class Llama:
    """llama.cpp's `llama`."""

    architectures: Sequence[str] = tuple(_DEFAULTS)
    arch = "llama"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = _config(checkpoint)
        return [
            *decoder_metadata(self.arch, config, _KINDS),
            u32("llama.vocab_size", whole(config, "vocab_size")),
            u32("llama.rope.dimension_count", head_dim(config)),
        ]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = _config(checkpoint)
        parts = whole_model(config, _layer(config))
        # checkpoints of other families in Llama's form have biases on queries, keys and values alone
        may_lack = [name for name in parts if name.endswith(".o_proj.bias")]
        return [*_rope_freqs(config), *arranged_decoder(checkpoint, config, parts, may_lack)]


def _config(checkpoint: Checkpoint) -> Config:
    name = architecture(checkpoint.config)
    config = complete(checkpoint, _DEFAULTS.get(name, _LLAMA))
    text = checkpoint.config.get("text_config")
    if name in _SMOLVLM and not (isinstance(text, Mapping) and text.get("model_type", "llama") == "llama"):
        raise CheckpointError(
            f"config.json: text_config is {str(text)[:40]!r}, expected a text model of Llama's kind: "
            "choose another checkpoint"
        )
    return config | {"head_dim": head_dim(config)}


def _layer(config: Config) -> dict[str, Part]:
    parts = attention(config)
    for name, key in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
        whole_name = f"self_attn.{name}.weight"
        parts[whole_name] = replace(parts[whole_name], change=interleaved(whole(config, key)))
    if config.get("attention_bias"):
        parts |= biases(parts, [f"self_attn.{name}_proj" for name in "qkvo"])
    mlp = feed_forward(config)
    if config.get("mlp_bias"):
        mlp |= biases(mlp, [f"mlp.{name}_proj" for name in ("gate", "up", "down")])
    return parts | mlp | norms(config, _NORMS)


def interleaved(n_head: int) -> Change:
    """The change of rows whose rotation pairs the halves of a head, in transformers, to one that pairs neighbours."""

    def change(values: Values) -> Values:
        halves = values.reshape(n_head, 2, -1, *values.shape[1:])  # [n_head, 2, head_dim / 2, ...]
        pairs: Values = halves.swapaxes(1, 2).reshape(values.shape)
        return pairs

    return change


def _rope_freqs(config: Config) -> list[Tensor]:
    rope, _ = rope_parameters(config)
    if rope["rope_type"] != "llama3":
        return []
    factors = llama3_factors(rope, head_dim(config))
    return [Tensor("rope_freqs.weight", factors.shape, "F32", lambda: factors)]
