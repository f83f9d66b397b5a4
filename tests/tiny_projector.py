"""Tiny projectors of sound: a Whisper encoder and what follows it, with random weights and a fixed seed, as GGUF files
that libmtmd really loads beside the models of `tests.tiny`.

What a sound becomes is nonsense, but nonsense that hangs on the sound, so that one that was lost or mixed up shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGUFWriter
from numpy.typing import NDArray

from tests.tiny import N_EMBD as N_EMBD_TEXT

Kind = Literal["ultravox", "voxtral", "qwen2a"]

N_EMBD = 64
N_HEAD = 2
N_FF = 96
N_LAYER = 2
N_MEL = 16
N_POSITION = 1500  # of the half minute that the encoder always sees
STACK = 30
N_HIDDEN = 48
N_TOKENS = {"ultravox": 50, "voxtral": 25, "qwen2a": 750}
"""That half a minute becomes."""

Tensors = Iterator[tuple[str, NDArray[Any]]]
Change = Callable[[dict[str, NDArray[Any]], dict[str, Any]], None]


def tiny_projector(
    path: Path, kind: Kind = "ultravox", *, seed: int = 0, n_out: int = N_EMBD_TEXT, change: Change | None = None
) -> Path:
    """Write a projector of half a megabyte.

    Args:
        path: the file to write.
        kind: what follows the encoder.
        seed: of the weights.
        n_out: the width of the text model.
        change: damages the tensors and keys before they are written.
    """
    tensors = dict(audio_tensors(kind, np.random.default_rng(seed), n_out))
    keys = audio_keys(kind, n_out)
    if change is not None:
        change(tensors, keys)
    write_projector(path, tensors, keys)
    return path


def audio_keys(kind: Kind, n_out: int) -> dict[str, Any]:
    """What a converter writes of an encoder of sound."""
    keys: dict[str, Any] = {
        "clip.has_audio_encoder": True,
        "clip.projector_type": kind,
        "clip.audio.projection_dim": n_out,
        "clip.audio.embedding_length": N_EMBD,
        "clip.audio.feed_forward_length": N_FF,
        "clip.audio.block_count": N_LAYER,
        "clip.audio.attention.head_count": N_HEAD,
        "clip.audio.num_mel_bins": N_MEL,
        "clip.audio.attention.layer_norm_epsilon": 1e-5,
    }
    if kind != "qwen2a":
        keys["clip.audio.projector.stack_factor"] = STACK
    return keys


def write_projector(path: Path, tensors: dict[str, NDArray[Any]], keys: dict[str, Any]) -> None:
    """Write a projector's file: keys of the types that converters give them."""
    writer = GGUFWriter(path, "clip")
    writer.add_name("tiny-projector")
    for key, value in keys.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, np.int32):
            writer.add_int32(key, int(value))
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_uint32(key, value)
    for name, values in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def audio_tensors(kind: Kind, rng: np.random.Generator, n_out: int) -> Tensors:
    """Every tensor by its GGUF name, in numpy's order of axes (GGUF's reversed)."""
    yield "a.conv1d.1.weight", rng.normal(0, (3 * N_MEL) ** -0.5, (N_EMBD, N_MEL, 3)).astype(np.float16)
    yield "a.conv1d.1.bias", vector(rng, N_EMBD)[:, None]
    yield "a.conv1d.2.weight", rng.normal(0, (3 * N_EMBD) ** -0.5, (N_EMBD, N_EMBD, 3)).astype(np.float16)
    yield "a.conv1d.2.bias", vector(rng, N_EMBD)[:, None]
    yield "a.position_embd.weight", rng.normal(0, 0.3, (N_POSITION, N_EMBD)).astype(np.float32)
    for layer in range(N_LAYER):
        for name, values in _layer(rng):
            yield f"a.blk.{layer}.{name}", values
    yield "a.post_ln.weight", 1 + vector(rng, N_EMBD)
    yield "a.post_ln.bias", vector(rng, N_EMBD)
    if kind == "ultravox":
        yield "mm.a.norm_pre.weight", 1 + vector(rng, N_EMBD * STACK)
        yield "mm.a.mlp.1.weight", matrix(rng, 2 * N_HIDDEN, N_EMBD * STACK)
        yield "mm.a.norm_mid.weight", 1 + vector(rng, N_HIDDEN)
        yield "mm.a.mlp.2.weight", matrix(rng, n_out, N_HIDDEN)
    elif kind == "voxtral":
        yield "mm.a.mlp.1.weight", matrix(rng, N_HIDDEN, N_EMBD * STACK)
        yield "mm.a.mlp.2.weight", matrix(rng, n_out, N_HIDDEN)
    else:
        yield "mm.a.fc.weight", matrix(rng, n_out, N_EMBD)
        yield "mm.a.fc.bias", vector(rng, n_out)


def _layer(rng: np.random.Generator) -> Tensors:
    for name in ("ln1", "ln2"):
        yield f"{name}.weight", 1 + vector(rng, N_EMBD)
        yield f"{name}.bias", vector(rng, N_EMBD)
    for name in ("q", "k", "v", "out"):
        yield f"attn_{name}.weight", matrix(rng, N_EMBD, N_EMBD)
        if name != "k":
            yield f"attn_{name}.bias", vector(rng, N_EMBD)
    yield "ffn_up.weight", matrix(rng, N_FF, N_EMBD)
    yield "ffn_up.bias", vector(rng, N_FF)
    yield "ffn_down.weight", matrix(rng, N_EMBD, N_FF)
    yield "ffn_down.bias", vector(rng, N_EMBD)


def matrix(rng: np.random.Generator, n_out: int, n_in: int) -> NDArray[np.float32]:
    """Weights that keep the size of what goes through them. [n_out, n_in]"""
    return rng.normal(0, n_in**-0.5, (n_out, n_in)).astype(np.float32)


def vector(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """A bias. [n]"""
    return rng.normal(0, 0.1, n).astype(np.float32)
