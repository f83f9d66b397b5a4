"""Damage to what a projector's file means: keys that libmtmd knows, and sizes that are changed wherever they stand, so
that what goes together still does, in part.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path

from tests.gguf_parts import ARRAY, BOOL, F32, I32, STRING, U32, Parts
from tests.mutate import mutation
from tests.mutate_parts import COUNTS, FLOATS, change_tensor, change_value, drop_key, resize_array, retype_key
from tests.tiny_eyes import KINDS

# Names of keys that libmtmd knows (its tools/mtmd/clip-impl.h), without `clip.`.
_NUMBERS = """
    image_size image_min_pixels image_max_pixels preproc_min_tiles preproc_max_tiles preproc_image_size patch_size
    projector.scale_factor spatial_merge_size n_wa_pattern window_size embedding_length feed_forward_length block_count
    projection_dim attention.head_count attention.head_count_kv attention.head_dim
"""
_OTHERS = (
    "minicpmv_query_num audio.num_mel_bins audio.projector.stack_factor audio.block_count vision.expert_used_count"
)
_ARRAYS = (
    "image_grid_pinpoints feature_layer wa_layer_indexes wa_pattern_mode is_deepstack_layers projector.spatial_offsets"
)
_FLAGS = "has_audio_encoder has_vision_encoder has_gen_audio_encoder use_gelu use_silu has_llava_projector"
_FLOAT_ARRAYS = ("clip.vision.image_mean", "clip.vision.image_std")
_TYPES = (0, 1, 2, 3, 6, 7, 8, 12, 14, 20, 30)
_OPTIONAL = (
    *(
        "v.class_embd",
        "v.pre_ln.weight",
        "v.pre_ln.bias",
        "v.norm_embd.weight",
        "v.patch_embd.bias",
        "v.blk.0.ls1.weight",
    ),
    *("v.blk.0.attn_q_norm.weight", "v.blk.0.attn_k_norm.weight", "v.blk.1.attn_qkv.weight", "v.blk.0.attn_qkv.bias"),
    *("v.blk.0.ffn_gate.weight", "v.blk.0.ffn_gate_exps.weight", "v.blk.1.attn_sinks", "v.blk.0.attn_post_norm.weight"),
    *(
        "v.deepstack.1.fc1.weight",
        "v.deepstack.0.norm.bias",
        "mm.input_norm.weight",
        "mm.0.bias",
        "v.patch_embd.weight.1",
    ),
)


def projector_mutation(path: Path, seed: int, index: int, out: Path) -> str:
    """Write one damaged copy of a projector: the same for the same file, seed and index; what was done."""
    rng = random.Random(f"{seed}/{index}/projector")
    if rng.random() < 0.4:
        return mutation(path, seed, index, out)
    parts = copy.deepcopy(Parts.read(path))
    changes = rng.choices(*zip(*_CHANGES, strict=True), k=rng.choice([1, 1, 1, 2, 3]))
    what = "; ".join(change(parts, rng) for change in changes)
    parts.write(out)
    return f"projector: {what}"


def _set_number(parts: Parts, rng: random.Random) -> str:
    name = rng.choice(
        [*(f"clip.vision.{name}" for name in _NUMBERS.split()), *(f"clip.{name}" for name in _OTHERS.split())]
    )
    old = parts.get(name)
    near = [old - 1, old + 1, 2 * old, old // 2, 3 * old] if isinstance(old, int) else []
    value = rng.choice([*COUNTS, 14, 24, 48, 336, 448, *near, *near, *near]) % 2**32
    parts.set(name, U32, value)
    return f"{name} = {value}"


def _set_other(parts: Parts, rng: random.Random) -> str:
    what = rng.choice(["flag", "array", "floats", "epsilon", "version", "kind", "kind"])
    if what == "flag":
        name, value = f"clip.{rng.choice(_FLAGS.split())}", rng.choice([True, False])
        parts.set(name, BOOL, value)
        return f"{name} = {value}"
    if what == "array":
        name, values = (
            f"clip.vision.{rng.choice(_ARRAYS.split())}",
            [rng.choice([0, 1, 2, 32, 64, -1])] * rng.choice([1, 2, 4]),
        )
        parts.set(name, ARRAY, values, rng.choice([I32, I32, U32, BOOL]))
        return f"{name} = {values}"
    if what == "floats":
        name, floats = rng.choice(_FLOAT_ARRAYS), [rng.choice(FLOATS) for _ in range(rng.choice([0, 2, 3, 3, 3, 4]))]
        parts.set(name, ARRAY, floats, F32)
        return f"{name} = {floats}"
    if what == "epsilon":
        epsilon = rng.choice(FLOATS)
        parts.set("clip.vision.attention.layer_norm_epsilon", F32, epsilon)
        return f"epsilon = {epsilon}"
    if what == "version":
        version = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 100045, 2**31])
        parts.set("clip.minicpmv_version", I32, version)
        return f"version {version}"
    kind = rng.choice([*KINDS, "ultravox", "mlp", "pixtral", "phi4", "internvl", "janus_pro", ""])
    parts.set(rng.choice(["clip.projector_type", "clip.vision.projector_type"]), STRING, kind.encode())
    return f"as {kind}"


def _resize(parts: Parts, rng: random.Random) -> str:
    """One length wherever it stands in shapes and keys."""
    lengths = sorted({length for tensor in parts.tensors for length in tensor.shape if length > 1})
    old = rng.choice(lengths)
    new = rng.choice([old + 1, old - 1, 2 * old, old // 2, 4 * old, old + 32, 3 * old, rng.choice(lengths)]) or 1
    for tensor in parts.tensors:
        tensor.shape = [_scaled(length, old, new) for length in tensor.shape]
    for key in parts.keys:
        if key.type == U32 and key.value == old and rng.random() < 0.9:
            key.value = new
    return f"{old} -> {new} in all tensors"


def _scaled(length: int, old: int, new: int) -> int:
    """Multiples of a width, such as four patches side by side, grow with it."""
    return length // old * new if length in (old, 2 * old, 3 * old, 4 * old) else length


def _other_picture(parts: Parts, rng: random.Random) -> str:
    """Pictures of another size, with as many positions as it has patches."""
    size, patch = rng.choice([8, 16, 31, 33, 40, 48, 64, 96, 224]), parts.get("clip.vision.patch_size")
    parts.set("clip.vision.image_size", U32, size)
    n = (size // patch) ** 2 if isinstance(patch, int) and patch else 16
    for tensor in parts.tensors:
        if tensor.name == b"v.position_embd.weight":
            tensor.shape[-1] = rng.choice([n, n, n, n + 1, n - 1]) or 1
    return f"pictures of {size}"


def _other_layers(parts: Parts, rng: random.Random) -> str:
    n_layer = rng.choice([1, 1, 3, 5, 20])
    layers = [tensor for tensor in parts.tensors if tensor.name.startswith(b"v.blk.0.")]
    parts.tensors = [tensor for tensor in parts.tensors if not tensor.name.startswith(b"v.blk.")]
    for layer in range(n_layer):
        for tensor in layers:
            parts.tensors.append(copy.copy(tensor))
            parts.tensors[-1].name = tensor.name.replace(b"v.blk.0.", f"v.blk.{layer}.".encode())
    parts.set("clip.vision.block_count", U32, n_layer)
    return f"{n_layer} layers"


def _retype_tensors(parts: Parts, rng: random.Random) -> str:
    """All matrices, or all tensors of one name, in another type."""
    new, every = rng.choice(_TYPES), rng.random() < 0.5
    suffix = rng.choice(parts.tensors).name.split(b".")[-2:]
    chosen = [
        tensor
        for tensor in parts.tensors
        if (len(tensor.shape) == 2 if every else tensor.name.split(b".")[-2:] == suffix)
    ]
    for tensor in chosen:
        tensor.type = new
    return f"type {new} for {len(chosen)} tensors"


def _swap_names(parts: Parts, rng: random.Random) -> str:
    """Both matrices of each block under each other's name, as older converters had it."""
    for tensor in parts.tensors:
        tensor.name = (
            tensor.name.replace(b"ffn_up", b"ffn_").replace(b"ffn_down", b"ffn_up").replace(b"ffn_.", b"ffn_down.")
        )
    return "ffn_up and ffn_down swapped"


def _add_tensor(parts: Parts, rng: random.Random) -> str:
    name = rng.choice(_OPTIONAL)
    if all(tensor.name != name.encode() for tensor in parts.tensors):
        parts.add_tensor(name, rng.choice([[32], [32, 32], [128], [32, 96], [16], [8, 8, 3, 32], [32, 48]]))
    return f"with {name}"


Change = Callable[[Parts, random.Random], str]
_CHANGES: tuple[tuple[Change, int], ...] = (
    (_set_number, 8),
    (_set_other, 4),
    (_resize, 8),
    (_other_picture, 4),
    (_other_layers, 2),
    (_retype_tensors, 6),
    (_swap_names, 1),
    (_add_tensor, 4),
    (change_value, 3),
    (retype_key, 1),
    (resize_array, 1),
    (drop_key, 2),
    (change_tensor, 4),
)
