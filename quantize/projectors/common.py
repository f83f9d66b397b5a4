"""What encoders of pictures share: their part of config.json, how a picture is prepared, SigLIP's layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from edgeai.safe_text import one_line
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import Config, View, is_of_pictures, view
from quantize.families.parts import Part, u32, whole

Parts = dict[str, Part | Sequence[Part]]

MOST_PIXELS = 2**14
_MOST_PATCH, _MOST_WIDTH, _MOST_FF, _MOST_BLOCKS, _MOST_HEADS = 2**8, 2**14, 2**16, 128, 256
_CHANNELS = 3
_PROCESSORS = {"preprocessor_config.json": "media_proc_cfg", "processor_config.json": "image_processor"}
GELU = ("gelu_pytorch_tanh", "gelu", "gelu_new")


class Vision(Protocol):
    """A family's encoder of pictures, and what makes its output the text model's input.

    Attributes:
        architectures: names in config.json's `architectures`.
    """

    architectures: Sequence[str]

    def metadata(self, checkpoint: Checkpoint, n_embd: int) -> list[Meta]:
        """The `clip.*` keys, in the official converter's order.

        Args:
            checkpoint: the folder.
            n_embd: width of the text model.
        Raises:
            CheckpointError: a file of the folder lacks a value or has one that makes no sense.
        """
        ...

    def parts(self, checkpoint: Checkpoint, n_embd: int) -> Parts:
        """What is expected, by name as `pictures_part` gives it.

        Raises:
            CheckpointError: as `metadata`.
        """
        ...

    def kept_types(self, qtype: str) -> Mapping[str, str]:
        """Tensors of the GGUF whose type does not follow the projector's, and their types."""
        ...


def pictures_part(checkpoint: Checkpoint) -> View:
    """A checkpoint without its text model. Names lose a `model.` that leads them, and SigLIP's layers always stand
    under `vision_model.`: each version of transformers has another of `vision_tower.`, `vision_tower.vision_model.`.

    Raises:
        CheckpointError: two tensors have one name then.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in checkpoint.tensors.items():
        if not is_of_pictures(name):
            continue
        new = name.removeprefix("model.")
        if new.startswith("vision_tower."):
            new = "vision_model." + new.removeprefix("vision_tower.").removeprefix("vision_model.")
        if new.startswith("vision_model.head."):  # SigLIP's own, which no text model uses
            continue
        if new in tensors:
            raise CheckpointError(f"{checkpoint.path} has the tensor {new[:100]} twice: fetch the checkpoint again")
        tensors[new] = tensor
    return view(checkpoint, tensors)


def vision_config(checkpoint: Checkpoint, defaults: Mapping[str, Any]) -> Config:
    """`vision_config` with what its writer left out because transformers' configuration class has it by default."""
    saved = checkpoint.config.get("vision_config")
    return {**defaults, **(saved if isinstance(saved, Mapping) else {})}


def encoder_metadata(checkpoint: Checkpoint, config: Config, n_embd: int) -> list[Meta]:
    """The keys that the official converter writes for any encoder of pictures, in its order.

    Args:
        checkpoint: the folder.
        config: complete, with the names of SigLIP's.
        n_embd: width of the text model.
    Raises:
        CheckpointError: a value is missing or makes no sense.
    """
    width, n_head = width_of(config), whole(config, "num_attention_heads", at_most=_MOST_HEADS)
    if width % n_head:
        refuse("num_attention_heads", n_head, f"a divisor of hidden_size = {width}")
    prepared = preprocessor(checkpoint)
    return [
        Meta("clip.has_vision_encoder", True, GGUFValueType.BOOL),
        u32("clip.vision.projection_dim", n_embd),
        u32("clip.vision.image_size", n_pixels(config)),
        u32("clip.vision.patch_size", patch_of(config)),
        u32("clip.vision.embedding_length", width),
        u32("clip.vision.feed_forward_length", n_ff_of(config)),
        u32("clip.vision.block_count", n_blocks(config)),
        u32("clip.vision.attention.head_count", n_head),
        _colours("clip.vision.image_mean", "image_mean", prepared, at_least=-1.0),
        _colours("clip.vision.image_std", "image_std", prepared, at_least=1e-3),
    ]


def preprocessor(checkpoint: Checkpoint) -> dict[str, Any]:
    """How the model's processor prepares a picture: both files that may say it, the later coming before."""
    found: dict[str, Any] = {}
    for name, inner in _PROCESSORS.items():
        saved = checkpoint.json(name)
        if not isinstance(saved, Mapping):
            continue
        more = saved.get(inner)
        found |= {**saved, **(more if isinstance(more, Mapping) else {})}
    return found


def n_pixels(config: Config) -> int:
    """Pixels along a side of the picture."""
    return whole(config, "image_size", at_most=MOST_PIXELS)


def side(config: Config) -> int:
    """Patches along a side of the picture; what is left over at its edges is not looked at.

    Raises:
        CheckpointError: there is none.
    """
    found = n_pixels(config) // patch_of(config)
    if not found:
        refuse("patch_size", patch_of(config), f"at most image_size = {n_pixels(config)}")
    return found


def width_of(config: Config) -> int:
    """Width of the encoder."""
    return whole(config, "hidden_size", at_most=_MOST_WIDTH)


def n_ff_of(config: Config) -> int:
    """Width of its feed-forward networks."""
    return whole(config, "intermediate_size", at_most=_MOST_FF)


def n_blocks(config: Config) -> int:
    """Its layers."""
    return whole(config, "num_hidden_layers", at_most=_MOST_BLOCKS)


def patch_of(config: Config) -> int:
    """Pixels along a side of a patch."""
    return whole(config, "patch_size", at_most=_MOST_PATCH)


def require(config: Config, key: str, expected: Collection[Any]) -> None:
    """Refuse what libmtmd does not compute: it would silently compute something else.

    Raises:
        CheckpointError: the value is none of those.
    """
    if config.get(key) not in expected:
        refuse(key, config.get(key), f"{' or '.join(map(str, expected))}, which is what llama.cpp computes")


def require_other_ff(config: Config) -> None:
    """libmtmd takes feed-forward networks as wide as the encoder for those of old files, and exchanges their matrices.

    Raises:
        CheckpointError: they are.
    """
    if n_ff_of(config) == width_of(config):
        refuse(
            "intermediate_size", n_ff_of(config), "another number than hidden_size, for which llama.cpp mixes them up"
        )


def refuse(key: str, value: Any, expected: str) -> NoReturn:
    """A value of `vision_config` that cannot be."""
    raise CheckpointError(
        f"config.json: vision_config: {key} = {one_line(str(value))[:40]}, expected {expected}: "
        "correct the file or fetch the checkpoint again"
    )


def layers_of(config: Config, key: str, at_most: int) -> list[int]:
    """Numbers of layers, rising.

    Raises:
        CheckpointError: it is none.
    """
    found = config.get(key)
    if (
        not isinstance(found, list)
        or not all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < at_most for item in found)
        or any(one >= other for one, other in itertools.pairwise(found))
    ):
        refuse(key, found, f"rising numbers of layers below {at_most}")
    return found


def siglip_parts(config: Config) -> Parts:
    """SigLIP: patches, their positions, layers with biases everywhere, and a norm behind them."""
    require(config, "num_channels", (_CHANNELS,))
    require(config, "hidden_act", GELU)
    require_other_ff(config)
    width, n_ff, patch = width_of(config), n_ff_of(config), patch_of(config)
    parts: Parts = {
        **linear("vision_model.embeddings.patch_embedding", "v.patch_embd", (width, _CHANNELS, patch, patch)),
        "vision_model.embeddings.position_embedding.weight": Part("v.position_embd.weight", (side(config) ** 2, width)),
        **linear("vision_model.post_layernorm", "v.post_ln", (width,)),
    }
    layer = {
        "layer_norm1": ("ln1", (width,)),
        "layer_norm2": ("ln2", (width,)),
        **{f"self_attn.{name}_proj": (f"attn_{name}", (width, width)) for name in "qkv"},
        "self_attn.out_proj": ("attn_out", (width, width)),
        "mlp.fc1": ("ffn_up", (n_ff, width)),
        "mlp.fc2": ("ffn_down", (width, n_ff)),
    }
    return parts | blocks("vision_model.encoder.layers", layer, n_blocks(config))


def blocks(prefix: str, layer: Mapping[str, tuple[str, tuple[int, ...]]], n: int) -> Parts:
    """The parts of all layers, each with its bias."""
    return {
        name: part
        for index in range(n)
        for old, (new, shape) in layer.items()
        for name, part in linear(f"{prefix}.{index}.{old}", f"v.blk.{index}.{new}", shape).items()
    }


def linear(old: str, new: str, shape: tuple[int, ...]) -> Parts:
    """A weight and its bias."""
    return {f"{old}.weight": Part(f"{new}.weight", shape), f"{old}.bias": Part(f"{new}.bias", shape[:1])}


def _colours(key: str, name: str, prepared: Mapping[str, Any], at_least: float) -> Meta:
    """Three numbers, of red, green and blue."""
    found = prepared.get(name)
    if (
        not isinstance(found, list)
        or len(found) != _CHANNELS
        or not all(isinstance(item, int | float) and not isinstance(item, bool) for item in found)
        or not all(math.isfinite(item) and at_least <= item <= 1 for item in found)
    ):
        raise CheckpointError(
            f"preprocessor_config.json: {name} = {one_line(str(found))[:40]}, expected three numbers up to 1, of red, "
            "green and blue: fetch the checkpoint's preprocessor_config.json too"
        )
    return Meta(key, found, GGUFValueType.ARRAY, GGUFValueType.FLOAT32)
