"""What the eyes of all projectors have in common: a vision transformer over the patches of a picture.

Source: tools/mtmd/clip.cpp, mtmd-image.cpp and mtmd.cpp of ggml-org/llama.cpp (the release that llama-cpp-python
0.3.36 carries), conversion/base.py for what converters write.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeai.gguf_projector.checks import F32, FLOATS, MAX_HIDDEN, MAX_WIDTH, Checks, Expected, linear, vectors
from edgeai.media import MAX_PICTURE_PIXELS

KEYS = {
    **dict.fromkeys(
        (
            *("vision.embedding_length", "vision.feed_forward_length", "vision.block_count", "vision.projection_dim"),
            *("vision.attention.head_count", "vision.image_size", "vision.patch_size"),
        ),
        "u32",
    ),
    "vision.attention.layer_norm_epsilon": "f32",
    "vision.image_mean": "array",
    "vision.image_std": "array",
}
MAX_LAYERS = 64
"""libmtmd has room for 8,192 nodes in its graph, and ends the process over more."""

_MAX_SIDE, _MAX_PER_SIDE = 2048, 80  # pixels and patches: attention takes the fourth power of these
_PATCH = (4, 32)


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision transformer.

    Attributes:
        width: of its layers.
        n_ff: of their inner layer.
        n_layer: how many.
        patch_size: side of a patch, pixels.
        image_size: side of the pictures it was made for, pixels.
        is_swapped: the file calls each block's first matrix the second, as older converters did.
    """

    width: int
    n_ff: int
    n_layer: int
    patch_size: int
    image_size: int
    is_swapped: bool

    @property
    def n_per_side(self) -> int:
        """Patches on a side of a square picture."""
        return self.image_size // self.patch_size

    def buffer_bytes(self, n_patches: int, n_chunks: int = 1) -> int:
        """What encoding takes beside the weights, about, as measured: the graph of one chunk, the pixels of all chunks,
        and the largest picture that may come, three times.

        Args:
            n_patches: of the largest chunk.
            n_chunks: of the largest picture.
        """
        pixels = 3 * self.patch_size**2 * n_patches
        layers = 4 * n_patches * (self.n_ff + 4 * self.width)
        return layers + pixels * (4 * n_chunks + 4 * 2 + 2) + 3 * 3 * MAX_PICTURE_PIXELS


def tower(checks: Checks, *, may_swap: bool, head_step: int = 1) -> Tower:
    """Check what every encoder of pictures says of itself.

    Args:
        checks: of the whole header.
        may_swap: libmtmd takes a block's two matrices for one another where their shapes tell it to.
        head_step: what the width of a head is a multiple of.
    """
    width = checks.count("vision.embedding_length", 1, MAX_WIDTH)
    patch_size = checks.count("vision.patch_size", *_PATCH)
    image_size = checks.count("vision.image_size", patch_size, _MAX_SIDE)
    if image_size // patch_size > _MAX_PER_SIDE:
        checks.fail(f"clip.vision.image_size = {image_size} of patches of {patch_size}", f"{_MAX_PER_SIDE} on a side")
    n_layer = checks.count("vision.block_count", 1, MAX_LAYERS)
    checks.heads("vision", width, head_step)
    checks.count("vision.projection_dim", 0, MAX_HIDDEN)
    checks.count("vision.feed_forward_length", 0, MAX_HIDDEN)  # read and not used: some converters write another
    checks.epsilon("vision.attention.layer_norm_epsilon")
    checks.colours("vision.image_mean", -10.0, 10.0)
    checks.colours("vision.image_std", 1e-3, 1e3)
    n_ff, is_swapped = _feed_forward(checks, width, may_swap)
    return Tower(width, n_ff, n_layer, patch_size, image_size, is_swapped)


def _feed_forward(checks: Checks, width: int, may_swap: bool) -> tuple[int, bool]:
    """The inner width of a block, and whether its two matrices stand under each other's names."""
    name = "v.blk.0.ffn_up.weight"
    up = checks.tensors.get(name)
    if up is None or len(up.shape) != 2 or max(up.shape) > MAX_HIDDEN:
        checks.fail(f"{name} {'missing' if up is None else f'of shape {list(up.shape)}'}", f"a shape of [{width}, any]")
    if up.shape == (width, width) and may_swap:
        checks.fail(f"{name} of shape {list(up.shape)}", "another inner width: libmtmd would swap it with ffn_down")
    if up.shape[0] == width:
        return up.shape[1], False
    if may_swap and up.shape[1] == width:
        return up.shape[0], True
    checks.fail(f"{name} of shape {list(up.shape)}", f"a shape of [{width}, any]")


def patches(tower: Tower, *, bias: bool, n_kernels: int = 1) -> Expected:
    """The convolution that makes patches of a picture: one kernel, or one for each of two frames."""
    shape = (tower.patch_size, tower.patch_size, 3, tower.width)
    yield "v.patch_embd.weight", shape, FLOATS
    if n_kernels > 1:
        yield "v.patch_embd.weight.1", shape, FLOATS
    if bias:
        yield "v.patch_embd.bias", (tower.width,), F32


def blocks(tower: Tower, *, rms: bool = False, gate: bool = False, fused: bool = False) -> Expected:
    """All layers.

    Args:
        tower: their sizes.
        rms: norms without a bias.
        gate: a third matrix in the inner layer.
        fused: queries, keys and values from one matrix.
    """
    for layer in range(tower.n_layer):
        for name, shape, types in _block(tower, rms, gate, fused):
            yield f"v.blk.{layer}.{name}", shape, types


def _block(tower: Tower, rms: bool, gate: bool, fused: bool) -> Expected:
    width, n_ff = tower.width, tower.n_ff
    for name in ("ln1", "ln2"):
        yield from ((f"{name}.weight", (width,), F32),) if rms else vectors(name, width)
    if fused:
        yield from linear("attn_qkv", width, 3 * width)
    else:
        for name in ("attn_q", "attn_k", "attn_v"):
            yield from linear(name, width, width)
    yield from linear("attn_out", width, width)
    if gate:
        yield from linear("ffn_gate", width, n_ff)
    first, second = ("ffn_down", "ffn_up") if tower.is_swapped else ("ffn_up", "ffn_down")
    yield from linear(first, width, n_ff)
    yield from linear(second, n_ff, width)
