"""Qwen 2 and 2.5 (biases on queries, keys and values), Qwen 3 (norms on queries and keys)."""

from __future__ import annotations

from collections.abc import Sequence

from edgeai.errors import UnsupportedArchitectureError
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import (
    Config,
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
from quantize.families.parts import Part

_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
_KINDS = ("default", "linear", "dynamic", "yarn")
_DEFAULTS = {"max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "num_key_value_heads": 32}


class Qwen2:
    """llama.cpp's `qwen2`."""

    architectures: Sequence[str] = ("Qwen2ForCausalLM",)
    arch = "qwen2"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        return decoder_metadata(self.arch, _qwen2(checkpoint), _KINDS)

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = _qwen2(checkpoint)
        layer = _layer(config)
        layer |= biases(layer, [f"self_attn.{name}_proj" for name in "qkv"])
        return arranged_decoder(checkpoint, config, whole_model(config, layer))


class Qwen3:
    """llama.cpp's `qwen3`."""

    architectures: Sequence[str] = ("Qwen3ForCausalLM",)
    arch = "qwen3"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        return decoder_metadata(self.arch, _qwen3(checkpoint), _KINDS)

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = _qwen3(checkpoint)
        layer = _layer(config) | {
            f"self_attn.{name}_norm.weight": Part(f"attn_{name}_norm.weight", (head_dim(config),)) for name in "qk"
        }
        return arranged_decoder(checkpoint, config, whole_model(config, layer))


def _qwen2(checkpoint: Checkpoint) -> Config:
    _refuse_embedders(checkpoint)
    return complete(checkpoint, _DEFAULTS)


def _qwen3(checkpoint: Checkpoint) -> Config:
    _refuse_embedders(checkpoint)
    return complete(checkpoint, {**_DEFAULTS, "head_dim": 128})


def _layer(config: Config) -> dict[str, Part]:
    return attention(config) | feed_forward(config) | norms(config, _NORMS)


def _refuse_embedders(checkpoint: Checkpoint) -> None:
    """Sentence embedders and rerankers go by the same architecture, but need further keys and another head.

    Raises:
        UnsupportedArchitectureError: it is one.
    """
    if checkpoint.file("modules.json") or "reranker" in checkpoint.path.name.lower():
        raise UnsupportedArchitectureError(
            f"{checkpoint.path}: a sentence embedder or reranker, expected a model that writes text: "
            "choose another checkpoint, or convert it with llama.cpp's own converter (--converter PATH)"
        )
