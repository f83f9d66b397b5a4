"""What the PLaMo families share: how a model is put together, and what PLaMo 2 and 3 have around a layer's mixer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quantize.families.common import Config, n_layer
from quantize.families.parts import Part, plus, whole


def plamo_model(config: Config, layer: Callable[[int], Mapping[str, Part]], *, norm_offset: float) -> dict[str, Part]:
    """All parts of a model.

    Args:
        config: complete.
        layer: the parts of a layer, by its number.
        norm_offset: what the last norm is stored as its difference from.
    """
    n_embd, n_vocab = whole(config, "hidden_size"), whole(config, "vocab_size")
    norm = plus(norm_offset) if norm_offset else None
    parts = {
        "model.embed_tokens.weight": Part("token_embd.weight", (n_vocab, n_embd)),
        "model.norm.weight": Part("output_norm.weight", (n_embd,), norm),
        "lm_head.weight": Part("output.weight", (n_vocab, n_embd)),
    }
    for index in range(n_layer(config)):
        for name, part in layer(index).items():
            whole_name = f"model.layers.layers.{index}.{name}"
            parts[whole_name] = Part(f"blk.{index}.{part.name}", part.shape, part.change, part.new_shape)
    return parts


def around_mixer(config: Config) -> dict[str, Part]:
    """What every layer of PLaMo 2 and 3 has beside its mixer. Its norms are stored as differences from an offset."""
    n_embd, n_ff = whole(config, "hidden_size"), whole(config, "intermediate_size")
    return {
        "mlp.gate_up_proj.weight": Part("ffn_up.weight", (2 * n_ff, n_embd)),
        "mlp.down_proj.weight": Part("ffn_down.weight", (n_embd, n_ff)),
        "pre_mixer_norm.weight": Part("attn_norm.weight", (n_embd,), plus(1.0)),
        "post_mixer_norm.weight": Part("post_attention_norm", (n_embd,), plus(1.0 / 5)),
        "pre_mlp_norm.weight": Part("ffn_norm.weight", (n_embd,), plus(1.0)),
        "post_mlp_norm.weight": Part("post_ffw_norm", (n_embd,), plus(1.0 / 5**1.5)),
    }
