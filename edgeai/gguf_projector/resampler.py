"""Eyes of MiniCPM-V: an encoder over an overview and up to nine slices, each resampled into the same few tokens.

Source: tools/mtmd/models/minicpmv.cpp, clip.cpp and mtmd-image.cpp of ggml-org/llama.cpp (the release that
llama-cpp-python 0.3.36 carries), legacy-models/minicpmv-convert-image-encoder-to-gguf.py for what converters write.
"""

from __future__ import annotations

from edgeai.gguf_projector.checks import F32, FLOATS, MATRIX_TYPES, Checks, Expected, Half, linear, vectors
from edgeai.gguf_projector.vision import Tower, blocks, patches, tower

KEYS = {
    "minicpmv_version": "i32",
    "minicpmv_query_num": "u32",
    "has_minicpmv_projector": "bool",
}

_N_QUERIES = {0: 96, 2: 96, 3: 64, 4: 64, 5: 64, 6: 64, 100045: 64}
"""Tokens of a picture by the version, where the file does not say how many: libmtmd knows no other version."""

_POSITIONS = 70 * 70  # libmtmd numbers patches so, whatever the size
_HEAD = 128  # width of a head of the resampler
_SLICES = 9
_RATIO = 200


def resampler(checks: Checks, n_embd: int) -> Half:
    """Check the eyes of MiniCPM-V."""
    found = tower(checks, may_swap=True)
    version = checks.value("minicpmv_version") or 0
    if version not in _N_QUERIES:
        known = ", ".join(map(str, _N_QUERIES))
        checks.fail(f"clip.minicpmv_version = {version}", f"one of {known}")
    n_queries = checks.count("minicpmv_query_num", 0, 1024, 0) or _N_QUERIES[version]
    if n_embd % _HEAD:
        checks.fail(f"a text model of the width {n_embd}", f"a multiple of {_HEAD}")
    tensors = (
        *patches(found, bias=True),
        ("v.position_embd.weight", (found.width, _POSITIONS), FLOATS),
        *blocks(found),
        *vectors("v.post_ln", found.width),
        *_resampler(checks, found, n_queries, n_embd),
    )
    return Half(tensors, _buffer_bytes(found, n_embd), n_queries, _RATIO, ("resampler.pos_embed",))


def _resampler(checks: Checks, found: Tower, n_queries: int, n_embd: int) -> Expected:
    yield "resampler.query", (n_embd, n_queries), F32
    # loaded and not used
    yield "resampler.pos_embed_k", (n_embd, checks.columns("resampler.pos_embed_k", n_embd)), FLOATS
    yield "resampler.kv.weight", (found.width, n_embd), MATRIX_TYPES
    for name in ("q", "k", "v", "out"):
        yield from linear(f"resampler.attn.{name}", n_embd, n_embd)
    for name in ("q", "kv", "post"):
        yield from vectors(f"resampler.ln_{name}", n_embd)
    yield "resampler.proj.weight", (n_embd, n_embd), MATRIX_TYPES


def _buffer_bytes(found: Tower, n_embd: int) -> int:
    n_patches = 2 * found.n_per_side**2  # sides are rounded to whole patches
    return found.buffer_bytes(n_patches, _SLICES + 1) + 4 * n_patches * 2 * n_embd
