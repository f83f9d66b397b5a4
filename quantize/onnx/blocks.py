"""Weights as blocks of 4 or 8 bits, as ONNX Runtime's MatMulNBits and GatherBlockQuantized read them, and back.

A row is cut into blocks, the last one filled up with zeros. A block has a scale, and a zero point of its own where it
is not symmetric: value = (code - zero point) × scale. Symmetric blocks have the zero point 8 or 128; their scale may be
negative, so that a block's extreme can be the code 0, the one that has no partner of the other sign.

Scales are found by rounding to nearest, or by a search for the least squared error: some around the one that the
extreme gives are tried, each fitted to its codes by least squares.

Sources: docs/ContribOperators.md of microsoft/onnxruntime for the layout; `make_qx_quants` of ggml-quants.c in
ggml-org/llama.cpp for the search, and for scales that have a sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quantize.base import F32
from quantize.ggml import NotFiniteError, OutOfRangeError

U8 = NDArray[np.uint8]
Bits = Literal[4, 8]

BLOCK_SIZES = (16, 32, 64, 128, 256)
"""What the operators take."""

_LIMIT = 1e37  # below it a fitted scale times a code stays within float32
_CHUNK = 2**18  # values that are worked on at once: fewer are work for the interpreter, more no longer fit a cache
# Candidates for a scale: the extreme becomes the last code, or one so much beyond it or before it. Where importance
# tells what it costs, more of the extreme may be cut off.
_BEYOND = {4: tuple(step / 10 for step in range(-9, 10, 3)), 8: (-2.0, 0.0, 2.0)}
_BEYOND_BY_IMPORTANCE = {4: tuple(step / 10 for step in range(-8, 37, 4)), 8: _BEYOND[8]}
_LEAST_WEIGHT = 1e-6  # of a column, against the mean


@dataclass(frozen=True, slots=True)
class Blocks:
    """A matrix in blocks.

    Attributes:
        data: codes; those of 4 bits two to a byte, low half first. uint8 [n_rows, n_blocks, block_size * bits // 8]
        scales: float32 [n_rows, n_blocks]
        zero_points: packed as the codes are, None where all are 8 or 128. uint8 [n_rows, ceil(n_blocks * bits / 8)]
    """

    data: U8
    scales: F32
    zero_points: U8 | None = None


@dataclass(frozen=True, slots=True)
class _Grid:
    """The codes that normalized blocks can have: step × inverse, rounded; counted from the zero point.

    Attributes:
        inverse: codes in 1. float32 [n], or one for all.
        zero: the zero point. float32 [n], or one for all.
        last: the last code.
    """

    inverse: F32
    zero: F32
    last: float

    def codes(self, block: F32, out: F32) -> F32:
        """The nearest codes, counted from the zero point. float32 [block_size, n]"""
        np.multiply(block, self.inverse, out=out)
        np.rint(out, out=out)
        np.clip(out, -self.zero, self.last - self.zero, out=out)
        return out


def encode_blocks(
    values: F32,
    *,
    bits: Bits,
    block_size: int = 32,
    symmetric: bool = True,
    search: bool = True,
    importance: F32 | None = None,
    is_head: bool = False,
) -> Blocks:
    """Encode a matrix.

    Args:
        values: float32 [n_rows, n_cols].
        bits: of a code.
        block_size: columns that share a scale, one of BLOCK_SIZES.
        symmetric: the zero point is the middle of the codes; else each block has its own.
        search: look for the scales with the least squared error; else round to nearest.
        importance: how much the squared error of each column counts, finite and not negative. float32 [n_cols]
        is_head: the matrix gives the logits; where there is no importance, its large weights are spared more.
    Raises:
        NotFiniteError: NaN or infinity in the values.
        OutOfRangeError: numbers that are too large.
    """
    _check(values, bits, block_size, importance)
    n_rows, n_cols = values.shape
    n_blocks = -(-n_cols // block_size)
    data: U8 = np.empty((n_rows, n_blocks, block_size * bits // 8), np.uint8)
    scales: F32 = np.empty((n_rows, n_blocks), np.float32)
    zeros: U8 = np.empty((n_rows, n_blocks), np.uint8)
    for rows in _chunks(n_rows, n_cols):
        block = _columns(values[rows], block_size)
        sizes = _normalize(block, symmetric=symmetric)
        weights = _weights(block, importance, is_head=is_head) if search else None
        tried = _BEYOND[bits] if importance is None else _BEYOND_BY_IMPORTANCE[bits]
        codes, scale, zero = _fitted(block, bits, tried, weights, symmetric=symmetric)
        data[rows] = _packed((codes + zero).astype(np.uint8), bits).T.reshape(-1, *data.shape[1:])
        scales[rows] = (scale * sizes).reshape(-1, n_blocks)
        zeros[rows] = zero if symmetric else zero.reshape(-1, n_blocks)
    return Blocks(data, scales, None if symmetric else _packed_zeros(zeros, bits))


def decode_blocks(blocks: Blocks, *, bits: Bits, n_cols: int) -> F32:
    """What blocks stand for.

    Args:
        blocks: as `encode_blocks` makes them.
        bits: of a code.
        n_cols: columns of the matrix, without what the last block is filled up with.
    Returns:
        float32 [n_rows, n_cols].
    """
    n_rows, n_blocks, _ = blocks.data.shape
    codes = _unpacked(blocks.data, bits).astype(np.float32)
    if blocks.zero_points is None:
        codes -= 1 << (bits - 1)
    else:
        codes -= _unpacked(blocks.zero_points, bits)[:, :n_blocks, None]
    codes *= blocks.scales[:, :, None]
    return codes.reshape(n_rows, -1)[:, :n_cols]


def _check(values: F32, bits: int, block_size: int, importance: F32 | None) -> None:
    if bits not in (4, 8) or block_size not in BLOCK_SIZES:
        raise ValueError(f"{bits} bits in blocks of {block_size}: expected 4 or 8, and one of {BLOCK_SIZES}")
    if values.ndim != 2 or values.dtype != np.float32:
        raise ValueError(f"{values.dtype} {values.shape} cannot be blocks: expected float32 rows")
    if importance is not None and importance.shape != values.shape[1:]:
        raise ValueError(f"the importance has the shape {importance.shape}, expected {values.shape[1:]}")
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())  # NaN where there is any NaN
    if not math.isfinite(low) or not math.isfinite(high):
        raise NotFiniteError("it holds NaN or infinity")
    if max(-low, high) >= _LIMIT:
        raise OutOfRangeError(f"it holds {low if -low > high else high:g}, blocks take less than {_LIMIT:g}")


def _chunks(n_rows: int, n_cols: int) -> Iterator[slice]:
    n_taken = max(1, _CHUNK // max(n_cols, 1))
    for start in range(0, n_rows, n_taken):
        yield slice(start, start + n_taken)


def _columns(rows: F32, block_size: int) -> F32:
    """Blocks side by side: what is done to all of them goes along memory. float32 [block_size, n]"""
    if n_over := rows.shape[1] % block_size:
        rows = np.pad(rows, ((0, 0), (0, block_size - n_over)))
    return np.array(rows.reshape(-1, block_size).T, order="C")


def _normalize(block: F32, *, symmetric: bool) -> F32:
    """Divide each block by what is returned, the number of the largest size in it, which becomes 1: with its sign where
    blocks are symmetric. float32 [n]
    """
    low, high = block.min(axis=0), block.max(axis=0)
    sizes: F32 = np.where(high >= -low, high, low if symmetric else -low)
    block /= np.where(sizes == 0, np.float32(1), sizes)
    return sizes


def _weights(block: F32, importance: F32 | None, *, is_head: bool) -> F32:
    """How much each squared error of some blocks counts. float32 [block_size, n]

    Where it is not known what they are multiplied with, large weights count more. In a head, a few columns of large
    ones are multiplied with numbers that are larger by far than all others.
    """
    if importance is None:
        squares = block * block
        return squares if is_head else np.abs(block) + np.sqrt(squares.mean(axis=0))
    mean = np.float32(importance.mean()) or np.float32(1)
    columns = _columns(np.maximum(importance / mean, np.float32(_LEAST_WEIGHT))[None], len(block))
    return np.tile(columns, (1, block.shape[1] // columns.shape[1]))


def _fitted(
    block: F32, bits: Bits, tried: Sequence[float], weights: F32 | None, *, symmetric: bool
) -> tuple[F32, F32, F32]:
    """The codes, counted from the zero point, the scales and the zero points of normalized blocks.

    Args:
        block: float32 [block_size, n].
        bits: of a code.
        tried: how far beyond the last code the extreme may be.
        weights: how much each squared error counts; None rounds to nearest. float32 [block_size, n]
        symmetric: the zero point is the middle.
    Returns:
        float32 [block_size, n], [n], [n]; the last is one for all where blocks are symmetric.
    """
    span = None if symmetric else _Span.of(block)
    grid, buffer = _grid(bits, span, 0.0), np.empty_like(block)
    if weights is None:
        scale: F32 = np.broadcast_to(1 / grid.inverse, block.shape[1:])
        return grid.codes(block, buffer), scale, grid.zero
    weighted = weights * block
    inverse, zero, best = (np.zeros(block.shape[1], np.float32) for _ in range(3))
    for beyond in tried:
        grid = _grid(bits, span, beyond)
        _, gain = _fit(grid.codes(block, buffer), weights, weighted)
        is_better = gain > best
        for kept, new in ((best, gain), (inverse, grid.inverse), (zero, grid.zero)):
            np.copyto(kept, new, where=is_better)
    zero = grid.zero if symmetric else zero
    scale, _ = _fit(_Grid(inverse, zero, grid.last).codes(block, buffer), weights, weighted)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    scale, _ = _fit(_Grid(inverse, zero, grid.last).codes(block, buffer), weights, weighted)
    return buffer, scale, zero


def _fit(codes: F32, weights: F32, weighted: F32) -> tuple[F32, F32]:
    """The scales that fit codes best, and by how much less the squared error is with them. float32 [n], [n]

    Args:
        codes: counted from the zero point. float32 [block_size, n]
        weights: of the errors. float32 [block_size, n]
        weighted: the values times the weights. float32 [block_size, n]
    """
    dot = np.einsum("ij,ij->j", codes, weighted)
    norm = np.einsum("ij,ij->j", codes, codes * weights)
    scale: F32 = dot / np.where(norm == 0, np.float32(1), norm)
    return scale, dot * scale


@dataclass(frozen=True, slots=True)
class _Span:
    """From where to where the numbers of blocks go, 0 among them. float32 [n]"""

    low: F32
    size: F32

    @classmethod
    def of(cls, block: F32) -> _Span:
        low = np.minimum(block.min(axis=0), 0)
        size = np.maximum(block.max(axis=0), 0) - low
        return cls(low, np.where(size == 0, np.float32(1), size))


def _grid(bits: Bits, span: _Span | None, beyond: float) -> _Grid:
    """The codes where the extreme is so much beyond the last one; `span` is None for symmetric blocks."""
    last = float((1 << bits) - 1)
    if span is None:
        half = np.float32(1 << (bits - 1))
        return _Grid(np.float32(-half - beyond), half, last)
    inverse = np.float32(last + beyond) / span.size
    return _Grid(inverse, np.clip(np.rint(-span.low * inverse), 0, last), last)


def _packed(codes: U8, bits: Bits) -> U8:
    """Codes along the first axis as bytes."""
    packed: U8 = codes if bits == 8 else codes[0::2] | codes[1::2] << np.uint8(4)
    return packed


def _packed_zeros(zeros: U8, bits: Bits) -> U8:
    if bits == 4 and zeros.shape[1] % 2:
        zeros = np.pad(zeros, ((0, 0), (0, 1)))
    return np.ascontiguousarray(_packed(zeros.T, bits).T)


def _unpacked(data: U8, bits: Bits) -> U8:
    """Codes along the last axis."""
    if bits == 8:
        return data
    halves = np.stack((data & 15, data >> 4), axis=-1)
    return halves.reshape(*data.shape[:-1], 2 * data.shape[-1])
