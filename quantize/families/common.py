"""What the Llama-like families share: a complete config.json, the keys of a decoder, and the parts of its layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.parts import MAX_LAYERS, Part, arranged, f32, number, plus, u32, whole
from quantize.families.rope import rope_metadata, rope_parameters

Config = dict[str, Any]

_PICTURE_PARTS = (
    *("visual", "vision_tower", "vision_model", "vision_embed_tokens"),
    *("multi_modal_projector", "multimodal_projector", "mm_projector", "connector", "image_newline"),
)


@dataclass(slots=True)
class View:
    """A checkpoint with some tensors left out or named otherwise. See `quantize.base.Checkpoint`."""

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    origin: Checkpoint

    def file(self, name: str) -> Path | None:
        """A file of the folder; None where there is none."""
        return self.origin.file(name)

    def json(self, name: str) -> Any:
        """A JSON file of the folder; None where there is none."""
        return self.origin.json(name)


def view(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> View:
    """The same folder with other tensors."""
    return View(checkpoint.path, checkpoint.config, tensors, checkpoint)


def text_part(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint without what else its model has (pictures), its tensors named as in a model of text alone.

    Folders saved by transformers 4 have `language_model.model.layers…` or `model.text_model.layers…`, those by
    transformers 5 `model.language_model.layers…`.

    Raises:
        CheckpointError: two tensors have one name then.
    """
    if not any(isinstance(checkpoint.config.get(key), Mapping) for key in ("text_config", "vision_config")):
        return checkpoint
    tensors: dict[str, Tensor] = {}
    for name, tensor in checkpoint.tensors.items():
        if is_of_pictures(name):
            continue
        new = name.replace("language_model.", "").replace("text_model.", "")
        if new in tensors:
            raise CheckpointError(f"{checkpoint.path} has the tensor {new[:100]} twice: fetch the checkpoint again")
        tensors[new] = tensor
    return view(checkpoint, tensors)


def is_of_pictures(name: str) -> bool:
    """Whether a tensor of a checkpoint belongs to the part that sees, by its name."""
    return name.removeprefix("model.").partition(".")[0] in _PICTURE_PARTS


def architecture(config: Mapping[str, Any]) -> str:
    """The model class that config.json names, of a model with other parts (pictures) that of its text part where it
    has its own; empty where there is none.
    """
    text = config.get("text_config")
    for each in (text if isinstance(text, Mapping) else {}, config):
        names = each.get("architectures")
        if isinstance(names, list) and names and isinstance(names[0], str):
            return names[0]
    return ""


def complete(checkpoint: Checkpoint, defaults: Mapping[str, Any]) -> Config:
    """config.json with what its writer left out because transformers' configuration class has it by default.

    Args:
        checkpoint: the folder.
        defaults: of the configuration class, as far as they reach the GGUF.
    Returns:
        A model's with other parts (pictures) is that of its text part.
    """
    text = checkpoint.config.get("text_config")
    config = {**defaults, **checkpoint.config, **(text if isinstance(text, Mapping) else {})}
    if isinstance(text, Mapping) and checkpoint.config.get("tie_word_embeddings"):  # which the whole model says
        config["tie_word_embeddings"] = True
    if config.get("num_key_value_heads") is None:
        config["num_key_value_heads"] = config.get("num_attention_heads")
    return config


def n_layer(config: Config) -> int:
    """Layers."""
    return whole(config, "num_hidden_layers", at_most=MAX_LAYERS)


def head_dim(config: Config) -> int:
    """Width of a head, where it is not saved the usual one.

    Raises:
        CheckpointError: it is odd, so that no rotation can pair its halves, or the heads do not divide the width.
    """
    if config.get("head_dim") is not None:
        n_embd_head = whole(config, "head_dim")
    else:
        n_embd, n_head = whole(config, "hidden_size"), whole(config, "num_attention_heads")
        n_embd_head, rest = divmod(n_embd, n_head)
        if rest:
            raise CheckpointError(
                f"config.json: num_attention_heads = {n_head}, expected a divisor of hidden_size = {n_embd}: "
                "correct the file or fetch the checkpoint again"
            )
    if n_embd_head < 2 or n_embd_head % 2:
        raise CheckpointError(
            f"config.json: heads of width {n_embd_head}, expected an even number: "
            "correct the file or fetch the checkpoint again"
        )
    return n_embd_head


def decoder_metadata(arch: str, config: Config, kinds: Collection[str], theta: float = 10_000.0) -> list[Meta]:
    """The keys that the official converter writes for any decoder, in its order.

    Args:
        arch: llama.cpp's name.
        config: complete.
        kinds: types of rope scaling that this family may have.
        theta: the base of the rotary embedding where none is saved.
    Raises:
        CheckpointError: config.json lacks a value or has one that makes no sense.
    """
    rope, local = rope_parameters(config, theta)
    keys = [
        u32(f"{arch}.block_count", n_layer(config)),
        u32(f"{arch}.context_length", whole(config, "max_position_embeddings")),
        u32(f"{arch}.embedding_length", whole(config, "hidden_size")),
        u32(f"{arch}.feed_forward_length", whole(config, "intermediate_size")),
        u32(f"{arch}.attention.head_count", whole(config, "num_attention_heads")),
        u32(f"{arch}.attention.head_count_kv", whole(config, "num_key_value_heads")),
    ]
    if config.get("is_causal") is False:
        keys.append(Meta(f"{arch}.attention.causal", False, GGUFValueType.BOOL))
    keys += rope_metadata(arch, rope, local, kinds)
    keys.append(f32(f"{arch}.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps")))
    if config.get("head_dim") is not None:
        keys += head_metadata(arch, config)
    return keys


def head_metadata(arch: str, config: Config) -> list[Meta]:
    """The keys of the width of a head."""
    return [u32(f"{arch}.attention.{name}_length", head_dim(config)) for name in ("key", "value")]


def whole_model(config: Config, layers: Mapping[str, Part], *, norm: Part | None = None) -> dict[str, Part]:
    """All parts of a decoder: the embeddings, the layers, the last norm, and the output where it is not the embeddings.

    Args:
        config: complete.
        layers: the parts of a layer.
        norm: the last norm, where it is not a plain one.
    """
    n_embd, n_vocab = whole(config, "hidden_size"), whole(config, "vocab_size")
    parts = {
        "lm_head.weight": Part("output.weight", (n_vocab, n_embd)),
        "model.embed_tokens.weight": Part("token_embd.weight", (n_vocab, n_embd)),
        "model.norm.weight": norm or Part("output_norm.weight", (n_embd,)),
    }
    for layer in range(n_layer(config)):
        for name, part in layers.items():
            whole_name = f"model.layers.{layer}.{name}"
            parts[whole_name] = Part(f"blk.{layer}.{part.name}", part.shape, part.change, part.new_shape)
    return parts


def attention(config: Config) -> dict[str, Part]:
    """The four matrices of a layer's attention."""
    n_embd = whole(config, "hidden_size")
    n_q = whole(config, "num_attention_heads") * head_dim(config)
    n_kv = whole(config, "num_key_value_heads") * head_dim(config)
    return {
        "self_attn.q_proj.weight": Part("attn_q.weight", (n_q, n_embd)),
        "self_attn.k_proj.weight": Part("attn_k.weight", (n_kv, n_embd)),
        "self_attn.v_proj.weight": Part("attn_v.weight", (n_kv, n_embd)),
        "self_attn.o_proj.weight": Part("attn_output.weight", (n_embd, n_q)),
    }


def feed_forward(config: Config) -> dict[str, Part]:
    """The three matrices of a layer's gated feed-forward network."""
    n_embd, n_ff = whole(config, "hidden_size"), whole(config, "intermediate_size")
    return {
        "mlp.gate_proj.weight": Part("ffn_gate.weight", (n_ff, n_embd)),
        "mlp.up_proj.weight": Part("ffn_up.weight", (n_ff, n_embd)),
        "mlp.down_proj.weight": Part("ffn_down.weight", (n_embd, n_ff)),
    }


def norms(config: Config, names: Mapping[str, str], *, offset: float | None = None) -> dict[str, Part]:
    """Norms as wide as the model.

    Args:
        config: complete.
        names: in the GGUF, by their names in the checkpoint.
        offset: what they are stored as differences from.
    """
    change = None if offset is None else plus(offset)
    return {
        f"{old}.weight": Part(f"{new}.weight", (whole(config, "hidden_size"),), change) for old, new in names.items()
    }


def biases(parts: Mapping[str, Part], names: Collection[str]) -> dict[str, Part]:
    """The biases of some matrices among the parts, changed as the matrices are."""
    return {
        f"{name}.bias": Part(part.name.replace(".weight", ".bias"), part.shape[:1], part.change)
        for name in names
        for part in (parts[f"{name}.weight"],)
    }


def arranged_decoder(
    checkpoint: Checkpoint, config: Config, parts: Mapping[str, Part], may_lack: Collection[str] = ()
) -> list[Tensor]:
    """The tensors of the text part by their GGUF names. The output may be missing where it is tied to the embeddings.

    Raises:
        CheckpointError: one is missing that `may_lack` does not name, is left over, or has a wrong shape.
    """
    tied = ("lm_head.weight",) if config.get("tie_word_embeddings") else ()
    return arranged(text_part(checkpoint), parts, may_lack=(*tied, *may_lack))
