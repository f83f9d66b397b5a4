"""Eyes that are a SigLIP encoder: Gemma 3, Idefics 3 with SmolVLM, LFM2-VL.

Source: tools/mtmd/models/siglip.cpp, clip.cpp and mtmd-image.cpp of ggml-org/llama.cpp (the release that
llama-cpp-python 0.3.36 carries), conversion/gemma.py, smolvlm.py and lfm2.py for what converters write.
"""

from __future__ import annotations

import math

from edgeai.gguf_projector.checks import F32, MATRIX_TYPES, Checks, Expected, Half, linear, vectors
from edgeai.gguf_projector.vision import Tower, blocks, patches, tower
from edgeai.media import MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE

KEYS = {"vision.projector.scale_factor": "u32"}
IDEFICS3_KEYS = {**KEYS, "vision.preproc_image_size": "u32"}

_MAX_SCALE = 16
_MAX_TOKENS = 4096
_MAX_TILES_PER_SIDE = 16
_MIN_TILE = 224  # where the file does not say into how many tiles a picture is cut
_LFM2_TILE, _LFM2_TILES, _LFM2_TOKENS = 512, 10, 256  # constants of libmtmd
_LFM2_PATCH = 8  # a tile of smaller ones takes minutes
_LFM2_SCALE = 4  # of more, even the smallest picture becomes one of millions of pixels
_LFM2_RATIO = 200  # from 256 on it gives pictures more than their most tokens


def gemma3(checks: Checks, n_embd: int) -> Half:
    """Check the eyes of Gemma 3: one square picture, pooled."""
    found = tower(checks, may_swap=True)
    scale = checks.count("vision.projector.scale_factor", 1, _MAX_SCALE, 4)
    n_tokens = _pooled(checks, found, scale)
    tensors = (
        *_encoder(found, found.n_per_side**2),
        ("mm.input_projection.weight", (n_embd, found.width), ("F32", "F16", "BF16")),
        ("mm.soft_emb_norm.weight", (found.width,), F32),
    )
    return Half(tensors, found.buffer_bytes(found.n_per_side**2), n_tokens, MAX_PICTURE_SIDE)


def idefics3(checks: Checks, n_embd: int) -> Half:
    """Check the eyes of Idefics 3 and SmolVLM: an overview and square tiles, each shuffled into fewer tokens."""
    found = tower(checks, may_swap=True)
    scale = checks.count("vision.projector.scale_factor", 2, _MAX_SCALE)
    n_tokens = _pooled(checks, found, scale)
    edge = checks.count("vision.preproc_image_size", found.patch_size, _MAX_TILES_PER_SIDE * found.image_size, 0)
    if not edge and found.image_size < _MIN_TILE:
        checks.fail(f"clip.vision.image_size = {found.image_size} and no preproc_image_size", f"{_MIN_TILE} or more")
    per_side = -(-edge // found.image_size)
    n_chunks = 1 + (per_side**2 if edge else 2 * MAX_PICTURE_PIXELS // found.image_size**2)
    tensors = (
        *_encoder(found, found.n_per_side**2),
        ("mm.model.fc.weight", (found.width * scale**2, n_embd), MATRIX_TYPES),
    )
    buffer_bytes = found.buffer_bytes(found.n_per_side**2, n_chunks)
    # beyond that the shorter side becomes less than a pixel
    return Half(tensors, buffer_bytes, n_tokens, min(edge - 1 if edge else MAX_PICTURE_SIDE, MAX_PICTURE_SIDE))


def lfm2(checks: Checks, n_embd: int) -> Half:
    """Check the eyes of LFM2-VL: a picture of its own shape, or ten tiles and an overview."""
    found = tower(checks, may_swap=False)
    scale = checks.count("vision.projector.scale_factor", 2, _LFM2_SCALE)
    step = found.patch_size * scale
    if _LFM2_TILE % step or found.patch_size < _LFM2_PATCH:
        parts = f"at least {_LFM2_PATCH}, and together a divisor of {_LFM2_TILE}"
        checks.fail(f"clip.vision.patch_size and scale_factor = {found.patch_size} and {scale}", parts)
    positions = checks.tensors.get("v.position_embd.weight")
    n_positions = positions.shape[1] if positions is not None and len(positions.shape) == 2 else 0
    if n_positions != math.isqrt(n_positions) ** 2 or not 0 < n_positions <= found.image_size**2:
        checks.fail(f"v.position_embd.weight with {n_positions} positions", "a square")
    width = found.width * scale**2
    n_hidden = checks.columns("mm.1.weight", width)
    tensors = (
        *_encoder(found, n_positions),
        *((*vectors("mm.input_norm", width),) if "mm.input_norm.weight" in checks.tensors else ()),
        *linear("mm.1", width, n_hidden),
        *linear("mm.2", n_hidden, n_embd),
    )
    n_tokens = max(_LFM2_TOKENS, (_LFM2_TILE // step) ** 2)
    dropped = tuple(f"v.blk.{layer}." for layer in range(found.n_layer, found.n_layer + 8))
    buffer_bytes = found.buffer_bytes(n_tokens * scale**2, _LFM2_TILES + 1)
    return Half(tensors, buffer_bytes, n_tokens, _LFM2_RATIO, dropped)


def _pooled(checks: Checks, found: Tower, scale: int) -> int:
    """Tokens of a square picture: libmtmd counts them in two ways, and ends the process where they differ."""
    if found.n_per_side % scale:
        checks.fail(f"clip.vision.projector.scale_factor = {scale}", f"a divisor of {found.n_per_side} patches")
    n_tokens = int((found.n_per_side // scale) ** 2)
    if n_tokens > _MAX_TOKENS:  # that a text model may have to evaluate at once
        checks.fail(f"clip.vision.projector.scale_factor = {scale} and {n_tokens:,} tokens", f"at most {_MAX_TOKENS:,}")
    return n_tokens


def _encoder(found: Tower, n_positions: int) -> Expected:
    yield from patches(found, bias=True)
    yield "v.position_embd.weight", (found.width, n_positions), F32
    yield from blocks(found)
    yield from vectors("v.post_ln", found.width)
