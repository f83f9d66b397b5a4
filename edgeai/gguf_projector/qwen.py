"""Eyes of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: pictures of their own shape, patches that know their place by rotation.

Source: tools/mtmd/models/qwen2vl.cpp, qwen3vl.cpp, clip.cpp and mtmd-image.cpp of ggml-org/llama.cpp (the release that
llama-cpp-python 0.3.36 carries), conversion/qwenvl.py and qwen3vl.py for what converters write.
"""

from __future__ import annotations

import math

from edgeai.gguf_projector.checks import F32, MAX_HIDDEN, Checks, Expected, Half, linear, vectors
from edgeai.gguf_projector.vision import Tower, blocks, patches, tower

KEYS = {"vision.spatial_merge_size": "u32"}
QWEN25_KEYS = {**KEYS, "vision.n_wa_pattern": "u32"}
QWEN3_KEYS = {**KEYS, "vision.is_deepstack_layers": "array"}

_MERGED = 4  # patches that make a token: libmtmd reads another number and writes out of bounds with it
_WARM_TOKENS = 46**2  # of the picture that libmtmd makes room for when it loads
_RATIO = 200  # as in Qwen's own preprocessing; and beyond as many as its tokens, a picture gets more of them


def qwen2(checks: Checks, n_embd: int) -> Half:
    """Check the eyes of Qwen2-VL."""
    found = _tower(checks, n_embd)
    tensors = (
        *patches(found, bias=False, n_kernels=2),
        *blocks(found),
        *vectors("v.post_ln", found.width),
        *_merger(checks, found, n_embd),
    )
    return _half(checks, tensors, found, 0)


def qwen25(checks: Checks, n_embd: int) -> Half:
    """Check the eyes of Qwen2.5-VL and Qwen2.5-Omni: attention within windows, but for every n-th layer."""
    found = _tower(checks, n_embd)
    pattern = checks.count("vision.n_wa_pattern", 0, 1024)
    if pattern == 1:  # libmtmd fills in a mask of windows that no layer has, and ends the process
        checks.fail("clip.vision.n_wa_pattern = 1", "0, or at least 2")
    tensors = (
        *patches(found, bias=False, n_kernels=2),
        *blocks(found, rms=True, gate=True),
        ("v.post_ln.weight", (found.width,), F32),
        *_merger(checks, found, n_embd),
    )
    masks = (4 + 4 + 2) * (_MERGED * checks.max_tokens) ** 2 if pattern else 0  # of every patch against every other
    return _half(checks, tensors, found, masks)


def qwen3(checks: Checks, n_embd: int) -> Half:
    """Check the eyes of Qwen3-VL: what some layers see is put beside what the last one sees, row by row."""
    layers = [layer for layer in range(1024) if f"v.deepstack.{layer}.fc1.weight" in checks.tensors]
    n_out = n_embd // (1 + len(layers))
    if n_out * (1 + len(layers)) != n_embd:
        checks.fail(f"{len(layers)} layers of deepstack", f"as many as make {n_embd}, what the text model takes in")
    found = _tower(checks, n_out)
    if layers and layers[-1] >= found.n_layer:
        checks.fail(f"v.deepstack.{layers[-1]}", f"none beyond the {found.n_layer} layers")
    positions = checks.columns("v.position_embd.weight", found.width)
    if positions != math.isqrt(positions) ** 2:
        checks.fail(f"v.position_embd.weight with {positions} positions", "a square")
    tensors = (
        *patches(found, bias=True, n_kernels=2),
        ("v.position_embd.weight", (found.width, positions), F32),
        *blocks(found, fused=True),
        *vectors("v.post_ln", found.width),
        *_merger(checks, found, n_out),
        *(tensor for layer in layers for tensor in _deepstack(checks, found, layer, n_out)),
    )
    return _half(checks, tensors, found, 4 * checks.max_tokens * 2 * n_embd)


def _tower(checks: Checks, n_out: int) -> Tower:
    checks.count("vision.spatial_merge_size", 2, 2, 2)
    if (dim := checks.count("vision.projection_dim", 0, MAX_HIDDEN)) != n_out:
        checks.fail(f"clip.vision.projection_dim = {dim}", f"the text model's {n_out}")
    return tower(checks, may_swap=checks.kind != "qwen3vl_merger", head_step=4)


def _merger(checks: Checks, found: Tower, n_out: int) -> Expected:
    width = _MERGED * found.width
    n_hidden = checks.columns("mm.0.weight", width)
    yield from linear("mm.0", width, n_hidden)
    yield from linear("mm.2", n_hidden, n_out)


def _deepstack(checks: Checks, found: Tower, layer: int, n_out: int) -> Expected:
    width, name = _MERGED * found.width, f"v.deepstack.{layer}"
    n_hidden = checks.columns(f"{name}.fc1.weight", width)
    yield from vectors(f"{name}.norm", width)
    yield from linear(f"{name}.fc1", width, n_hidden)
    yield from linear(f"{name}.fc2", n_hidden, n_out)


def _half(
    checks: Checks, tensors: tuple[tuple[str, tuple[int, ...], tuple[str, ...]], ...], found: Tower, more_bytes: int
) -> Half:
    buffer_bytes = found.buffer_bytes(_MERGED * max(checks.max_tokens, _WARM_TOKENS))
    return Half(tensors, buffer_bytes + more_bytes, checks.max_tokens, min(_RATIO, checks.max_tokens))
