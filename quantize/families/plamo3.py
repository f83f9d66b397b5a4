"""PLaMo 3: attention layers only, most of them with a sliding window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import Config, arranged_decoder, complete, decoder_metadata, head_dim
from quantize.families.parts import Part, plus, u32, whole
from quantize.families.plamo_model import around_mixer, plamo_model
from quantize.families.rope import rope_parameters

_DEFAULTS: Mapping[str, Any] = {"tie_word_embeddings": True}


class Plamo3:
    """`Plamo3ForCausalLM`, llama.cpp's `plamo3`.

    A checkpoint for long contexts (YaRN) does not come out exactly: PLaMo 3 has the ends of YaRN's ramp between two
    rotated pairs, llama.cpp rounds them to whole pairs, and a GGUF has no key for it.
    """

    architectures: Sequence[str] = ("Plamo3ForCausalLM", "PLaMo3ForCausalLM")
    arch = "plamo3"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = _plamo3(checkpoint)
        keys = decoder_metadata(self.arch, config, ("default", "linear", "yarn"))
        keys.append(u32("plamo3.vocab_size", whole(config, "vocab_size")))
        window = "window_size" if "window_size" in config else "sliding_window"
        if config.get(window) is not None:
            keys.append(u32("plamo3.attention.sliding_window", whole(config, window)))
            keys.append(u32("plamo3.attention.sliding_window_pattern", whole(config, "sliding_window_pattern")))
        return keys

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = _plamo3(checkpoint)
        layer = _attention(config) | around_mixer(config)
        return arranged_decoder(checkpoint, config, plamo_model(config, lambda _: layer, norm_offset=1.0))


def _plamo3(checkpoint: Checkpoint) -> Config:
    """The complete config.json, with a rotary embedding for each kind of layer and PLaMo's own keys for YaRN in it."""
    config = complete(checkpoint, _DEFAULTS)
    full, local = rope_parameters(config)
    if full["rope_type"] == "default" and config.get("rope_scaling_factor") not in (None, 1):
        full |= {
            "rope_type": "yarn",
            "factor": config["rope_scaling_factor"],
            "original_max_position_embeddings": config.get("initial_context_length"),
            "beta_fast": 32.0,
            "beta_slow": 1.0,
        }
    if config.get("rope_local_theta") is not None:
        local.setdefault("rope_theta", config["rope_local_theta"])
    config["rope_scaling"] = {"full_attention": full, "sliding_attention": local}
    return config


def _attention(config: Config) -> dict[str, Part]:
    n_embd, n_embd_head = whole(config, "hidden_size"), head_dim(config)
    n_head, n_kv = whole(config, "num_attention_heads"), whole(config, "num_key_value_heads")
    return {
        "mixer.qkv_proj.weight": Part("attn_qkv.weight", ((n_head + 2 * n_kv) * n_embd_head, n_embd)),
        "mixer.q_norm.weight": Part("attn_q_norm.weight", (n_embd_head,), plus(1.0)),
        "mixer.k_norm.weight": Part("attn_k_norm.weight", (n_embd_head,), plus(1.0)),
        "mixer.o_proj.weight": Part("attn_output.weight", (n_embd, n_head * n_embd_head)),
    }
