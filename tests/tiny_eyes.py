"""Tiny projectors of pictures: a vision transformer and what follows it, with random weights and a fixed seed, as GGUF
files that libmtmd really loads beside text models of `tests.tiny`.

What a picture becomes is nonsense, but nonsense that hangs on the picture, so that one that was lost or mixed up shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests.tiny import N_EMBD as N_EMBD_TEXT
from tests.tiny_projector import Change, Tensors, audio_keys, audio_tensors, matrix, vector, write_projector

Kind = Literal[
    "gemma3", "idefics3", "qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "lfm2", "resampler", "qwen2.5o"
]
KINDS: tuple[Kind, ...] = (
    *("gemma3", "idefics3", "qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "lfm2", "resampler", "qwen2.5o"),
)

N_EMBD = 32
N_HEAD = 2
N_FF = 48
N_LAYER = 2
PATCH = 8
IMAGE = 32  # side of the square that the encoder was made for
EDGE = 64  # to which SmolVLM brings the longer side: tiles of IMAGE
MERGE = 2
N_QUERIES = 6
DEEPSTACK = (0,)  # layers of Qwen3-VL
N_TOKENS = {"gemma3": 4, "idefics3": 4, "resampler": N_QUERIES, "lfm2": 256}
"""Of one chunk at most; the others have 4,096."""

_LFM2_PATCH, _LFM2_IMAGE = 32, 128  # its tiles have 512 pixels a side, whatever the file says
_SHAPED = ("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "qwen2.5o")


def tiny_eyes(
    path: Path, kind: Kind = "idefics3", *, seed: int = 0, n_out: int = N_EMBD_TEXT, change: Change | None = None
) -> Path:
    """Write a projector of at most a megabyte.

    Args:
        path: the file to write.
        kind: the projector.
        seed: of the weights.
        n_out: the width of the text model.
        change: damages the tensors and keys before they are written.
    """
    rng = np.random.default_rng(seed)
    tensors, keys = dict(_tensors(kind, rng, n_out)), _keys(kind, n_out)
    if kind == "qwen2.5o":
        tensors |= dict(audio_tensors("qwen2a", rng, n_out))
        keys |= audio_keys("qwen2a", n_out)
        keys["clip.projector_type"] = kind
    if change is not None:
        change(tensors, keys)
    write_projector(path, tensors, keys)
    return path


def _keys(kind: Kind, n_out: int) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "clip.has_vision_encoder": True,
        "clip.projector_type": kind,
        "clip.vision.projection_dim": n_out,
        "clip.vision.image_size": _LFM2_IMAGE if kind == "lfm2" else IMAGE,
        "clip.vision.patch_size": _LFM2_PATCH if kind == "lfm2" else PATCH,
        "clip.vision.embedding_length": N_EMBD,
        "clip.vision.feed_forward_length": N_FF,
        "clip.vision.block_count": N_LAYER,
        "clip.vision.attention.head_count": N_HEAD,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
        "clip.vision.attention.layer_norm_epsilon": 1e-6,
        "clip.use_silu" if kind in ("qwen2.5vl_merger", "qwen2.5o") else "clip.use_gelu": True,
    }
    if kind in ("gemma3", "idefics3", "lfm2"):
        keys["clip.vision.projector.scale_factor"] = MERGE
    if kind == "idefics3":
        keys["clip.vision.preproc_image_size"] = EDGE
    if kind in ("qwen2.5vl_merger", "qwen2.5o"):
        keys["clip.vision.n_wa_pattern"] = 2
    if kind == "qwen3vl_merger":
        keys["clip.vision.spatial_merge_size"] = MERGE
        keys["clip.vision.is_deepstack_layers"] = [layer in DEEPSTACK for layer in range(N_LAYER)]
        keys["clip.vision.projection_dim"] = n_out // 2
    if kind == "resampler":
        keys["clip.has_minicpmv_projector"] = True
        keys["clip.minicpmv_version"] = np.int32(3)
        keys["clip.minicpmv_query_num"] = N_QUERIES
        keys["clip.vision.projection_dim"] = 0
    return keys


def _tensors(kind: Kind, rng: np.random.Generator, n_out: int) -> Tensors:
    """Every tensor by its GGUF name, in numpy's order of axes (GGUF's reversed)."""
    n_patches, patch = (IMAGE // PATCH) ** 2, _LFM2_PATCH if kind == "lfm2" else PATCH
    kernel = (N_EMBD, 3, patch, patch)
    yield "v.patch_embd.weight", rng.normal(0, 0.1, kernel).astype(np.float16)
    if kind in _SHAPED:
        yield "v.patch_embd.weight.1", rng.normal(0, 0.1, kernel).astype(np.float16)
    if kind not in _SHAPED or kind == "qwen3vl_merger":
        yield "v.patch_embd.bias", vector(rng, N_EMBD)
        n_positions = 4900 if kind == "resampler" else n_patches
        yield "v.position_embd.weight", rng.normal(0, 0.3, (n_positions, N_EMBD)).astype(np.float32)
    for layer in range(N_LAYER):
        for name, values in _layer(kind, rng):
            yield f"v.blk.{layer}.{name}", values
    yield from _norm("v.post_ln", rng, N_EMBD, bias=not _is_rms(kind))
    yield from _head(kind, rng, n_out)


def _layer(kind: Kind, rng: np.random.Generator) -> Tensors:
    for name in ("ln1", "ln2"):
        yield from _norm(name, rng, N_EMBD, bias=not _is_rms(kind))
    if kind == "qwen3vl_merger":
        yield from _linear("attn_qkv", rng, N_EMBD, 3 * N_EMBD)
    else:
        for name in ("q", "k", "v"):
            yield from _linear(f"attn_{name}", rng, N_EMBD, N_EMBD)
    yield from _linear("attn_out", rng, N_EMBD, N_EMBD)
    if _is_rms(kind):
        yield from _linear("ffn_gate", rng, N_EMBD, N_FF)
    # MiniCPM-V's converter names the two matrices the other way round, and libmtmd swaps them
    first, second = ("ffn_down", "ffn_up") if kind == "resampler" else ("ffn_up", "ffn_down")
    yield from _linear(first, rng, N_EMBD, N_FF)
    yield from _linear(second, rng, N_FF, N_EMBD)


def _head(kind: Kind, rng: np.random.Generator, n_out: int) -> Tensors:
    merged = N_EMBD * MERGE**2
    if kind == "gemma3":
        yield "mm.input_projection.weight", matrix(rng, N_EMBD, n_out).astype(np.float16)
        yield "mm.soft_emb_norm.weight", 1 + vector(rng, N_EMBD)
    elif kind == "idefics3":
        yield "mm.model.fc.weight", matrix(rng, n_out, merged)
    elif kind == "lfm2":
        yield from _norm("mm.input_norm", rng, merged)
        yield from _linear("mm.1", rng, merged, 40)
        yield from _linear("mm.2", rng, 40, n_out)
    elif kind == "resampler":
        yield from _resampler(rng, n_out)
    else:
        n_own = n_out // 2 if kind == "qwen3vl_merger" else n_out
        yield from _linear("mm.0", rng, merged, merged)
        yield from _linear("mm.2", rng, merged, n_own)
        for layer in DEEPSTACK if kind == "qwen3vl_merger" else ():
            yield from _norm(f"v.deepstack.{layer}.norm", rng, merged)
            yield from _linear(f"v.deepstack.{layer}.fc1", rng, merged, merged)
            yield from _linear(f"v.deepstack.{layer}.fc2", rng, merged, n_own)


def _resampler(rng: np.random.Generator, n_out: int) -> Tensors:
    yield "resampler.query", rng.normal(0, 0.5, (N_QUERIES, n_out)).astype(np.float32)
    yield "resampler.pos_embed_k", rng.normal(0, 0.5, (4900, n_out)).astype(np.float32)
    yield "resampler.kv.weight", matrix(rng, n_out, N_EMBD)
    for name in ("q", "k", "v", "out"):
        yield from _linear(f"resampler.attn.{name}", rng, n_out, n_out)
    for name in ("q", "kv", "post"):
        yield from _norm(f"resampler.ln_{name}", rng, n_out)
    yield "resampler.proj.weight", matrix(rng, n_out, n_out)


def _is_rms(kind: Kind) -> bool:
    return kind in ("qwen2.5vl_merger", "qwen2.5o")


def _norm(name: str, rng: np.random.Generator, n: int, *, bias: bool = True) -> Tensors:
    yield f"{name}.weight", 1 + vector(rng, n)
    if bias:
        yield f"{name}.bias", vector(rng, n)


def _linear(name: str, rng: np.random.Generator, n_in: int, n_out: int) -> Tensors:
    yield f"{name}.weight", matrix(rng, n_out, n_in)
    yield f"{name}.bias", vector(rng, n_out)


def picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture that is nowhere the same. [height, width, 3]"""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
