"""Qwen 2.5 VL and Qwen 3 VL: patches of two frames, four of which become one token in a small network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gguf import GGUFValueType

from quantize.base import Checkpoint, Meta
from quantize.families.common import Config
from quantize.families.parts import Change, Part, Values, f32, number, u32, whole
from quantize.projectors.common import (
    GELU,
    Parts,
    blocks,
    encoder_metadata,
    layers_of,
    linear,
    n_blocks,
    n_ff_of,
    patch_of,
    refuse,
    require,
    require_other_ff,
    side,
    vision_config,
    width_of,
)

_FRAMES, _MERGED = 2, 2
_QWEN25: Mapping[str, Any] = {
    "depth": 32,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "hidden_act": "silu",
    "hidden_size": 3584,
    "image_size": 560,  # it takes pictures of any size; the official converter writes this
    "intermediate_size": 3420,
    "num_heads": 16,
    "patch_size": 14,
    "spatial_merge_size": _MERGED,
    "temporal_patch_size": _FRAMES,
    "window_size": 112,
}
_QWEN3: Mapping[str, Any] = {
    "deepstack_visual_indexes": [8, 16, 24],
    "depth": 27,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_heads": 16,
    "num_position_embeddings": 2304,
    "patch_size": 16,
    "spatial_merge_size": _MERGED,
    "temporal_patch_size": _FRAMES,
}


class Qwen25Vision:
    """libmtmd's `qwen2.5vl_merger`: most layers look at a window, RMS norms, a gated feed-forward network."""

    architectures: Sequence[str] = ("Qwen2_5_VLForConditionalGeneration",)

    def metadata(self, checkpoint: Checkpoint, n_embd: int) -> list[Meta]:
        """See `Vision`."""
        config = _config(checkpoint, _QWEN25)
        return [
            *encoder_metadata(checkpoint, config, n_embd),
            Meta("clip.projector_type", "qwen2.5vl_merger", GGUFValueType.STRING),
            Meta("clip.use_silu", True, GGUFValueType.BOOL),
            u32("clip.vision.n_wa_pattern", _every(config)),
            f32("clip.vision.attention.layer_norm_epsilon", 1e-6),
        ]

    def parts(self, checkpoint: Checkpoint, n_embd: int) -> Parts:
        """See `Vision`."""
        config = _config(checkpoint, _QWEN25)
        require(config, "hidden_act", ("silu",))
        require(config, "window_size", (112,))
        require_other_ff(config)
        width, n_ff = width_of(config), n_ff_of(config)
        layer = {
            "attn.proj": ("attn_out", (width, width)),
            "mlp.gate_proj": ("ffn_gate", (n_ff, width)),
            "mlp.up_proj": ("ffn_up", (n_ff, width)),
            "mlp.down_proj": ("ffn_down", (width, n_ff)),
        }
        parts = _patches(config) | blocks("visual.blocks", layer, n_blocks(config))
        for index in range(n_blocks(config)):
            old, new = f"visual.blocks.{index}", f"v.blk.{index}"
            for n in (1, 2):
                parts[f"{old}.norm{n}.weight"] = Part(f"{new}.ln{n}.weight", (width,))
            for kind, shape in (("weight", (width, width)), ("bias", (width,))):
                parts[f"{old}.attn.qkv.{kind}"] = [
                    Part(f"{new}.attn_{name}.{kind}", (3 * width, *shape[1:]), _third(place), shape)
                    for place, name in enumerate("qkv")
                ]
        parts["visual.merger.ln_q.weight"] = Part("v.post_ln.weight", (width,))
        return parts | _merger("visual.merger", ("mlp.0", "mlp.2"), ("mm.0", "mm.2"), width, n_embd)

    def kept_types(self, qtype: str) -> Mapping[str, str]:
        """See `Vision`."""
        return _patch_types(qtype)


class Qwen3Vision:
    """libmtmd's `qwen3vl_merger`: learned positions, and some layers that reach into the text model's first ones."""

    architectures: Sequence[str] = ("Qwen3VLForConditionalGeneration",)

    def metadata(self, checkpoint: Checkpoint, n_embd: int) -> list[Meta]:
        """See `Vision`."""
        config = _qwen3(checkpoint)
        reaching = layers_of(config, "deepstack_visual_indexes", n_blocks(config))
        text = checkpoint.config.get("text_config")
        return [
            *encoder_metadata(checkpoint, config, n_embd),
            Meta("clip.projector_type", "qwen3vl_merger", GGUFValueType.STRING),
            Meta("clip.use_gelu", True, GGUFValueType.BOOL),
            u32("clip.vision.spatial_merge_size", _MERGED),
            f32(
                "clip.vision.attention.layer_norm_epsilon",
                number(text if isinstance(text, Mapping) else {}, "rms_norm_eps", 1e-6),
            ),
            Meta(
                "clip.vision.is_deepstack_layers",
                [index in reaching for index in range(n_blocks(config))],
                GGUFValueType.ARRAY,
                GGUFValueType.BOOL,
            ),
        ]

    def parts(self, checkpoint: Checkpoint, n_embd: int) -> Parts:
        """See `Vision`."""
        config = _qwen3(checkpoint)
        require(config, "hidden_act", GELU)
        width, n_ff = width_of(config), n_ff_of(config)
        layer = {
            "norm1": ("ln1", (width,)),
            "norm2": ("ln2", (width,)),
            "attn.qkv": ("attn_qkv", (3 * width, width)),
            "attn.proj": ("attn_out", (width, width)),
            "mlp.linear_fc1": ("ffn_up", (n_ff, width)),
            "mlp.linear_fc2": ("ffn_down", (width, n_ff)),
        }
        parts = _patches(config) | blocks("visual.blocks", layer, n_blocks(config))
        parts["visual.patch_embed.proj.bias"] = Part("v.patch_embd.bias", (width,))
        parts["visual.pos_embed.weight"] = Part("v.position_embd.weight", (side(config) ** 2, width))
        parts |= linear("visual.merger.norm", "v.post_ln", (width,))
        fcs = ("linear_fc1", "linear_fc2")
        parts |= _merger("visual.merger", fcs, ("mm.0", "mm.2"), width, n_embd)
        for place, index in enumerate(layers_of(config, "deepstack_visual_indexes", n_blocks(config))):
            old, new = f"visual.deepstack_merger_list.{place}", f"v.deepstack.{index}"
            parts |= linear(f"{old}.norm", f"{new}.norm", (_MERGED**2 * width,))
            parts |= _merger(old, fcs, (f"{new}.fc1", f"{new}.fc2"), width, n_embd)
        return parts

    def kept_types(self, qtype: str) -> Mapping[str, str]:
        """See `Vision`."""
        return {"v.position_embd.weight": "F32", **_patch_types(qtype)}


def _config(checkpoint: Checkpoint, defaults: Mapping[str, Any]) -> Config:
    """`vision_config`, complete, with SigLIP's names of what Qwen calls otherwise.

    Raises:
        CheckpointError: its patches are of other kinds than libmtmd's.
    """
    config = vision_config(checkpoint, defaults)
    config |= {"num_attention_heads": whole(config, "num_heads"), "num_hidden_layers": whole(config, "depth")}
    require(config, "temporal_patch_size", (_FRAMES,))
    require(config, "spatial_merge_size", (_MERGED,))
    if width_of(config) % (4 * config["num_attention_heads"]):  # a place turns two pairs: row and column
        refuse("num_heads", config["num_heads"], f"heads of a multiple of 4 in hidden_size = {width_of(config)}")
    return config


def _qwen3(checkpoint: Checkpoint) -> Config:
    """With the size of a picture whose patches have one position each."""
    config = _config(checkpoint, _QWEN3)
    n_positions = whole(config, "num_position_embeddings")
    n_side = math.isqrt(n_positions)
    if n_side**2 != n_positions:
        refuse("num_position_embeddings", n_positions, "a square")
    return config | {"image_size": n_side * patch_of(config)}


def _every(config: Config) -> int:
    """From one layer that sees the whole picture to the next: libmtmd takes a fixed number.

    Raises:
        CheckpointError: it is none.
    """
    n = n_blocks(config)
    found = layers_of(config, "fullatt_block_indexes", n)
    every = found[0] + 1 if found else 0
    if not every or found != list(range(every - 1, n, every)):
        refuse("fullatt_block_indexes", found, f"every so many of the {n} layers, the last of each")
    return every


def _patches(config: Config) -> Parts:
    """The convolution over two frames, as one for each."""
    width, patch = width_of(config), patch_of(config)
    shape = (width, 3, _FRAMES, patch, patch)
    names = ("v.patch_embd.weight", "v.patch_embd.weight.1")
    return {
        "visual.patch_embed.proj.weight": [
            Part(name, shape, _frame(index), (width, 3, patch, patch)) for index, name in enumerate(names)
        ]
    }


def _patch_types(qtype: str) -> dict[str, str]:
    kept = "F16" if qtype == "F16" else "F32"
    return {"v.patch_embd.weight": kept, "v.patch_embd.weight.1": kept}


def _merger(old: str, names: tuple[str, str], new: tuple[str, str], width: int, n_embd: int) -> Parts:
    """The network that makes one token of four patches."""
    n_in = _MERGED**2 * width
    return linear(f"{old}.{names[0]}", new[0], (n_in, n_in)) | linear(f"{old}.{names[1]}", new[1], (n_embd, n_in))


def _frame(index: int) -> Change:
    def change(values: Values) -> Values:
        frame: Values = values[:, :, index]
        return frame

    return change


def _third(place: int) -> Change:
    def change(values: Values) -> Values:
        n = len(values) // 3
        return values[place * n : (place + 1) * n]

    return change
