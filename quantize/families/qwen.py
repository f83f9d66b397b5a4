"""Qwen 2 and 2.5 (biases on queries, keys and values), Qwen 3 (norms on queries and keys), and those that see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeai.errors import CheckpointError, UnsupportedArchitectureError
from edgeai.safe_text import one_line
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
    n_layer,
    norms,
    whole_model,
)
from quantize.families.parts import Part, u32
from quantize.families.rope import rope_parameters

_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
_KINDS = ("default", "linear", "dynamic", "yarn")
_SEEING_KINDS = ("default", "mrope", "yarn")
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
        return _qwen2_tensors(checkpoint, _qwen2(checkpoint))


class Qwen3:
    """llama.cpp's `qwen3`."""

    architectures: Sequence[str] = ("Qwen3ForCausalLM",)
    arch = "qwen3"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        return decoder_metadata(self.arch, _qwen3(checkpoint), _KINDS)

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        return _qwen3_tensors(checkpoint, _qwen3(checkpoint))


class Qwen25VL:
    """llama.cpp's `qwen2vl`."""

    architectures: Sequence[str] = ("Qwen2_5_VLForConditionalGeneration",)
    arch = "qwen2vl"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        return decoder_metadata(self.arch, self._config(checkpoint), _SEEING_KINDS, theta=1_000_000.0)

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        return _qwen2_tensors(checkpoint, self._config(checkpoint))

    def _config(self, checkpoint: Checkpoint) -> Config:
        defaults = {"max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "num_key_value_heads": 8}
        return _with_sections(checkpoint, complete(checkpoint, defaults))


class Qwen3VL:
    """llama.cpp's `qwen3vl`."""

    architectures: Sequence[str] = ("Qwen3VLForConditionalGeneration",)
    arch = "qwen3vl"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`. Its first layers take what as many layers of the encoder hand on."""
        config = self._config(checkpoint)
        vision = checkpoint.config.get("vision_config")
        reaching = vision.get("deepstack_visual_indexes", [8, 16, 24]) if isinstance(vision, Mapping) else []
        if not isinstance(reaching, list) or len(reaching) >= n_layer(config):  # llama.cpp ends at the last one
            raise CheckpointError(
                f"config.json: deepstack_visual_indexes = {one_line(str(reaching))[:40]}, expected a list of fewer "
                f"than the text model's {n_layer(config)} layers: correct the file or fetch the checkpoint again"
            )
        keys = decoder_metadata(self.arch, config, _SEEING_KINDS, theta=500_000.0)
        return [*keys, u32(f"{self.arch}.n_deepstack_layers", len(reaching))]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        return _qwen3_tensors(checkpoint, self._config(checkpoint))

    def _config(self, checkpoint: Checkpoint) -> Config:
        defaults = {
            "max_position_embeddings": 128_000,
            "rms_norm_eps": 1e-6,
            "num_key_value_heads": 32,
            "head_dim": 128,
        }
        return _with_sections(checkpoint, complete(checkpoint, defaults))


def _with_sections(checkpoint: Checkpoint, config: Config) -> Config:
    """config.json, where it says how heads turn by time, row and column.

    Raises:
        CheckpointError: it does not.
    """
    _refuse_embedders(checkpoint)
    sections = rope_parameters(config)[0].get("mrope_section")
    n_pairs = head_dim(config) // 2
    if not isinstance(sections, list) or not all(isinstance(n, int) for n in sections) or sum(sections) != n_pairs:
        raise CheckpointError(
            f"config.json: mrope_section = {one_line(str(sections))[:40]}, expected three numbers that are {n_pairs} "
            "together, half of a head: correct the file or fetch the checkpoint again"
        )
    return config


def _qwen2_tensors(checkpoint: Checkpoint, config: Config) -> list[Tensor]:
    layer = _layer(config)
    layer |= biases(layer, [f"self_attn.{name}_proj" for name in "qkv"])
    return arranged_decoder(checkpoint, config, whole_model(config, layer))


def _qwen3_tensors(checkpoint: Checkpoint, config: Config) -> list[Tensor]:
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
