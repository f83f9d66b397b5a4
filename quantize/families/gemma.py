"""Gemma 2 and the text part of Gemma 3. Their norms are stored as differences from 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import (
    Config,
    arranged_decoder,
    attention,
    complete,
    decoder_metadata,
    feed_forward,
    head_dim,
    head_metadata,
    n_layer,
    norms,
    view,
    whole_model,
)
from quantize.families.parts import Part, Values, f32, number, plus, u32, whole
from quantize.families.rope import require_plain, rope_parameters

_NORMS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_GEMMA2: Mapping[str, Any] = {
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "sliding_window": 4096,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
    "tie_word_embeddings": True,
}
# transformers leaves out of a text_config whatever is the default
_GEMMA3: Mapping[str, Any] = {
    "vocab_size": 262208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-6,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}

_LAYERS_OF_27B = 62


class Gemma2:
    """llama.cpp's `gemma2`."""

    architectures: Sequence[str] = ("Gemma2ForCausalLM",)
    arch = "gemma2"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = complete(checkpoint, _GEMMA2)
        require_plain(rope_parameters(config)[0])
        _require_pattern(config, 2)
        return [
            u32("gemma2.context_length", whole(config, "max_position_embeddings")),
            u32("gemma2.embedding_length", whole(config, "hidden_size")),
            u32("gemma2.block_count", n_layer(config)),
            u32("gemma2.feed_forward_length", whole(config, "intermediate_size")),
            u32("gemma2.attention.head_count", whole(config, "num_attention_heads")),
            u32("gemma2.attention.head_count_kv", whole(config, "num_key_value_heads")),
            f32("gemma2.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps")),
            *head_metadata(self.arch, config),
            f32("gemma2.attn_logit_softcapping", number(config, "attn_logit_softcapping")),
            f32("gemma2.final_logit_softcapping", number(config, "final_logit_softcapping")),
            u32("gemma2.attention.sliding_window", whole(config, "sliding_window")),
        ]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`. The output is always the embeddings."""
        config = complete(checkpoint, _GEMMA2)
        tied = {name: tensor for name, tensor in checkpoint.tensors.items() if name != "lm_head.weight"}
        config["tie_word_embeddings"] = True
        return arranged_decoder(view(checkpoint, tied), config, _parts(config, _layer(config)))


class Gemma3:
    """llama.cpp's `gemma3`."""

    architectures: Sequence[str] = ("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration")
    arch = "gemma3"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = _gemma3(checkpoint)
        _require_scale(config)
        keys = decoder_metadata(self.arch, config, ("default", "linear"), theta=1_000_000.0)
        if config.get("final_logit_softcapping"):
            keys.append(f32("gemma3.final_logit_softcapping", number(config, "final_logit_softcapping")))
        if config.get("sliding_window_pattern") != 1:
            _require_pattern(config, 6)
            keys.append(u32("gemma3.attention.sliding_window", whole(config, "sliding_window")))
        return keys

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`. Rows of the embeddings that stand for no token are left out."""
        config = _gemma3(checkpoint)
        n_head = head_dim(config)
        layer = _layer(config) | {
            f"self_attn.{name}_norm.weight": Part(f"attn_{name}_norm.weight", (n_head,), plus(1.0)) for name in "qk"
        }
        parts = _parts(config, layer)
        name = "model.embed_tokens.weight"
        parts[name] = _first_rows(parts[name], _n_token(checkpoint))
        return arranged_decoder(checkpoint, config, parts)


def _layer(config: Config) -> dict[str, Part]:
    return attention(config) | feed_forward(config) | norms(config, _NORMS, offset=1.0)


def _parts(config: Config, layer: Mapping[str, Part]) -> dict[str, Part]:
    n_embd = whole(config, "hidden_size")
    return whole_model(config, layer, norm=Part("output_norm.weight", (n_embd,), plus(1.0)))


def _gemma3(checkpoint: Checkpoint) -> Config:
    """The complete config.json, with a rotary embedding for each kind of layer."""
    config = complete(checkpoint, _GEMMA3)
    full, local = rope_parameters(config, 1_000_000.0)
    local.setdefault("rope_theta", config.get("rope_local_base_freq", 10_000.0))
    config["rope_scaling"] = {"full_attention": full, "sliding_attention": local}
    return config


def _require_scale(config: Config) -> None:
    """llama.cpp divides what attention compares by the root of a head's width, but in the 27B model, which it knows by
    its layers, by that of the model's share of a head.

    Raises:
        CheckpointError: config.json has another number, which llama.cpp would not look at.
    """
    is_27b = n_layer(config) == _LAYERS_OF_27B
    expected = whole(config, "hidden_size") / whole(config, "num_attention_heads") if is_27b else head_dim(config)
    found = number(config, "query_pre_attn_scalar", 256)
    if found != expected:
        raise CheckpointError(
            f"config.json: query_pre_attn_scalar = {found:g}, expected {expected:g}, the only one that llama.cpp "
            "computes for this model: choose another checkpoint"
        )


def _require_pattern(config: Config, every: int) -> None:
    """llama.cpp has a layer without window after a fixed number of layers with one, whatever config.json says.

    Raises:
        CheckpointError: config.json has another order of layers.
    """
    saved = config.get("layer_types")
    if saved is None:
        pattern = config.get("sliding_window_pattern", every)
        as_expected = pattern == every
    else:
        expected = [
            "full_attention" if layer % every == every - 1 else "sliding_attention" for layer in range(n_layer(config))
        ]
        as_expected = saved == expected
    if not as_expected:
        raise CheckpointError(
            f"config.json: layer_types has another order than llama.cpp computes, expected every {every}th layer to be "
            "full_attention and all others sliding_attention: choose another checkpoint"
        )


def _n_token(checkpoint: Checkpoint) -> int | None:
    """How many rows of the embeddings the official converter keeps, where there is no SentencePiece file."""
    if checkpoint.file("tokenizer.model"):
        return None
    tokenizer = checkpoint.json("tokenizer.json")
    try:
        return len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"])
    except (KeyError, TypeError) as exc:
        raise CheckpointError(
            f"{checkpoint.path}: no tokenizer.model, and tokenizer.json lacks model.vocab or added_tokens, expected "
            "one of both files: fetch the checkpoint again"
        ) from exc


def _first_rows(part: Part, n_row: int | None) -> Part:
    if n_row is None or n_row >= part.shape[0]:
        return part

    def change(values: Values) -> Values:
        return values[:n_row]

    return replace(part, change=change, new_shape=(n_row, *part.shape[1:]))
