"""Pieces of weights, and the bytes that they become.

A piece is some rows of one tensor: whole heads, where the rows of each head are put into another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgeai.errors import CheckpointError, QuantizeError
from edgeai.safe_text import one_line
from quantize.base import F32, Tensor
from quantize.ggml import NotFiniteError, OutOfRangeError
from quantize.gguf_source import GGUFTensor
from quantize.onnx.blocks import encode_blocks
from quantize.onnx.options import OnnxOptions
from quantize.onnx.parts import Rows
from quantize.onnx.plan import Array, PlannedWeight, TableTensor
from quantize.safetensors import StoredTensor

_PIECE_BYTES = 2**21  # of float32
_LEAST_PIECE_BYTES = 2**16
_IN_WORK_BYTES = 2**26  # of float32 in all threads together
_EMBEDDINGS = "token_embd.weight"
_HEADS = (_EMBEDDINGS, "output.weight")  # the head of most small models is their embeddings

Encoded = list[tuple[int, bytes]]
"""Places in model.onnx.data, and what comes there."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a weight.

    Attributes:
        weight: whose.
        rows: the tensor that they are read from.
        first: their place among the weight's rows.
        n_rows: how many.
        read: their values, in the tensor's order. float32 [n_rows, n_cols] or [n_rows]
    """

    weight: PlannedWeight
    rows: Rows
    first: int
    n_rows: int
    read: Callable[[], F32]


def pieces_of(weight: PlannedWeight, n_threads: int) -> Iterator[Piece]:
    """What a weight is made of, in order. A tensor that has no way to read rows is read here, as a whole."""
    n_bytes = max(min(_PIECE_BYTES, _IN_WORK_BYTES // n_threads), _LEAST_PIECE_BYTES)
    n_cols = math.prod(weight.shape[1:])
    first = 0
    for rows in weight.rows:
        unit = len(rows.order) if rows.order else 1
        n_taken = max(1, n_bytes // (4 * n_cols * unit)) * unit
        read_rows = _reader(rows.tensor)
        for start in range(rows.start, rows.stop, n_taken):
            stop = min(start + n_taken, rows.stop)
            yield Piece(weight, rows, first, stop - start, partial(read_rows, start, stop))
            first += stop - start
        del read_rows  # it may hold all of a tensor


def is_read_whole(weight: PlannedWeight) -> bool:
    """Whether a weight has a large tensor without a way to read rows."""
    return any(not _reads_rows(rows.tensor) and 4 * rows.tensor.n_elements > _IN_WORK_BYTES for rows in weight.rows)


def _reads_rows(tensor: Tensor) -> bool:
    return isinstance(tensor, GGUFTensor | StoredTensor | TableTensor) and len(tensor.shape) == 2


def _reader(tensor: Tensor) -> Callable[[int, int], F32]:
    if isinstance(tensor, GGUFTensor | StoredTensor | TableTensor) and len(tensor.shape) == 2:
        return tensor.read_rows
    values = tensor.read()

    def read_rows(start: int, stop: int) -> F32:
        return np.ascontiguousarray(values[start:stop], dtype=np.float32)

    return read_rows


class Encoder:
    """Turns pieces into bytes; in several threads at once."""

    def __init__(self, options: OnnxOptions, importance: Mapping[str, F32]) -> None:
        """`importance`: of the columns, by the tensor's name. float32 [n_cols]"""
        self._options = options
        self._importance = importance

    def encode(self, piece: Piece) -> Encoded:
        """The bytes of a piece.

        Raises:
            CheckpointError: it cannot be read, or holds numbers that cannot be encoded.
            QuantizeError: the importance matrix is another model's.
        """
        weight, values = piece.weight, _in_order(piece.read(), piece.rows.order)
        try:
            if weight.scales is None:
                return [_placed(weight.values, piece.first, _checked(values))]
            options = self._options
            assert weight.bits in (4, 8)
            blocks = encode_blocks(
                values,
                bits=4 if weight.bits == 4 else 8,
                block_size=options.block_size,
                symmetric=options.symmetric,
                search=options.search,
                importance=self._of(piece.rows.tensor.name, values.shape[1]),
                is_head=piece.rows.tensor.name in _HEADS,
            )
        except (NotFiniteError, OutOfRangeError) as exc:
            name = one_line(piece.rows.tensor.name)[:100]
            raise CheckpointError(f"{name}: {exc}: fetch the checkpoint again") from exc
        encoded = [_placed(weight.values, piece.first, blocks.data), _placed(weight.scales, piece.first, blocks.scales)]
        if weight.zero_points is not None and blocks.zero_points is not None:
            encoded.append(_placed(weight.zero_points, piece.first, blocks.zero_points))
        return encoded

    def _of(self, name: str, n_cols: int) -> F32 | None:
        values = self._importance.get(name)
        if values is None:
            return None
        if values.size != n_cols:
            if name == _EMBEDDINGS:
                return None
            raise QuantizeError(
                f"the importance matrix has {values.size:,} numbers for {one_line(name)[:100]}, expected {n_cols:,}: "
                "take the one of this model"
            )
        if not (np.isfinite(values) & (values >= 0)).all():
            raise QuantizeError(f"the importance matrix has numbers for {name} that are negative or not finite")
        return np.ascontiguousarray(values, dtype=np.float32)


def _in_order(values: F32, order: tuple[int, ...] | None) -> F32:
    if order is None:
        return values
    heads = values.reshape(-1, len(order), *values.shape[1:])
    return heads[:, list(order)].reshape(values.shape)


def _checked(values: F32) -> F32:
    if not np.isfinite(values).all():
        raise NotFiniteError("it holds NaN or infinity")
    return values


def _placed(array: Array, first: int, values: NDArray[np.float32] | NDArray[np.uint8]) -> tuple[int, bytes]:
    """Where rows come in an array, and their bytes."""
    n_row_bytes = array.n_bytes // array.shape[0]
    return array.offset + first * n_row_bytes, np.ascontiguousarray(values, dtype=array.dtype).tobytes()
