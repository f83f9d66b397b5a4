"""A tensor's bytes in the artifact, block by block, so that memory holds one tensor at most and never two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edgeai.errors import CheckpointError, QuantizeError
from quantize.base import F32, Tensor
from quantize.ggml import Bytes, NotFiniteError, OutOfRangeError, encode, is_valid
from quantize.gguf_format import tensor_bytes
from quantize.gguf_source import GGUFTensor
from quantize.plan import Planned, is_embedding, requires_imatrix
from quantize.safetensors import StoredTensor

_BLOCK_BYTES = 2**23


def weights_of(planned: Sequence[Planned], importance: Mapping[str, F32], ftype: str) -> dict[str, F32]:
    """The importance of the columns of each tensor that is encoded. float32 [n_matrices, n_cols]

    Args:
        planned: all tensors.
        importance: what an importance matrix says of them, by name. float32 [n_matrices * n_cols]
        ftype: the mix.
    Raises:
        QuantizeError: it lacks a tensor that cannot do without, or is of another model.
    """
    weights = {}
    for item in planned:
        values = None if _is_copied(item) else _fitting(item.tensor, importance.get(item.tensor.name))
        if values is not None:
            weights[item.tensor.name] = values
        elif requires_imatrix(item.tensor.name, item.qtype, ftype) and not _is_copied(item):
            raise QuantizeError(
                f"{item.tensor.name} cannot become {item.qtype} without an importance matrix that has it: "
                "give one with --imatrix, make one with --calibrate, or choose another --ftype"
            )
    return weights


def encoded_blocks(item: Planned, weights: F32 | None, n_threads: int, *, check: bool) -> Iterator[Bytes]:
    """The bytes of a tensor, piece by piece.

    Args:
        item: the tensor and its type.
        weights: the importance of its columns. float32 [n_matrices, n_cols]
        n_threads: threads to share the rows.
        check: refuse what is not finite or what the type cannot hold.
    Raises:
        CheckpointError: so it is, or the tensor cannot be read.
    """
    n_bytes = 0
    try:
        for block in _copied(item, check=check) if _is_copied(item) else _encoded(item, weights, n_threads, check):
            n_bytes += block.nbytes
            yield block
    except NotFiniteError as exc:
        advice = "fetch the checkpoint again, or let it through with --allow-nan"
        if not check:
            advice = f"{item.qtype} has nothing for that, choose another type for it with --tensor-type"
        raise CheckpointError(f"{item.tensor.name}: {exc}: {advice}") from exc
    except OutOfRangeError as exc:
        raise CheckpointError(f"{item.tensor.name}: {exc}: choose another type for it with --tensor-type") from exc
    if n_bytes != item.n_bytes:
        raise CheckpointError(f"{item.tensor.name} came with {n_bytes:,} bytes, expected {item.n_bytes:,}; start again")


def _fitting(tensor: Tensor, values: F32 | None) -> F32 | None:
    if values is None:
        return None
    n_matrices, n_cols = math.prod(tensor.shape[:-2]), (tensor.shape or (1,))[-1]
    if values.size != n_matrices * n_cols:
        if is_embedding(tensor.name):
            return None
        raise QuantizeError(
            f"the importance matrix has {values.size:,} numbers for {tensor.name}, expected {n_matrices * n_cols:,}: "
            "take the one of this model"
        )
    if not (np.isfinite(values) & (values >= 0)).all():
        raise QuantizeError(f"the importance matrix has numbers for {tensor.name} that are negative or not finite")
    return np.ascontiguousarray(values, dtype=np.float32).reshape(n_matrices, n_cols)


def _is_copied(item: Planned) -> bool:
    return isinstance(item.tensor, GGUFTensor) and item.tensor.dtype == item.qtype


def _copied(item: Planned, *, check: bool) -> Iterator[Bytes]:
    tensor = item.tensor
    assert isinstance(tensor, GGUFTensor)
    if len(tensor.shape) < 2:
        pieces = [(0, (tensor.shape or (1,))[0])]
    else:
        n_items = max(1, _BLOCK_BYTES // tensor_bytes(tensor.shape[1:], item.qtype))
        pieces = [(start, min(start + n_items, tensor.shape[0])) for start in range(0, tensor.shape[0], n_items)]
    for start, stop in pieces:
        block = tensor.read_encoded(start, stop)
        if check and not is_valid(block, item.qtype):
            raise NotFiniteError("it holds NaN or infinity")
        yield block


def _encoded(item: Planned, weights: F32 | None, n_threads: int, check: bool) -> Iterator[Bytes]:
    for index, rows in _row_blocks(item.tensor):
        yield encode(rows, item.qtype, None if weights is None else weights[index], n_threads=n_threads, check=check)


def _row_blocks(tensor: Tensor) -> Iterator[tuple[int, F32]]:
    """A tensor's rows in order, and the number of the matrix that they belong to. float32 [n_rows, n_cols]"""
    n_cols = (tensor.shape or (1,))[-1]
    n_rows = max(1, _BLOCK_BYTES // (4 * max(n_cols, 1)))
    read_rows = tensor.read_rows if isinstance(tensor, GGUFTensor | StoredTensor) else None
    if read_rows and len(tensor.shape) == 2:
        for start in range(0, tensor.shape[0], n_rows):
            yield 0, read_rows(start, min(start + n_rows, tensor.shape[0]))
        return
    matrices: Iterator[F32]
    if read_rows and len(tensor.shape) == 3:
        matrices = (read_rows(index, index + 1)[0] for index in range(tensor.shape[0]))
    else:
        matrices = iter(tensor.read().reshape(math.prod(tensor.shape[:-2]), *(tensor.shape[-2:-1] or (1,)), n_cols))
    for index, matrix in enumerate(matrices):
        for start in range(0, len(matrix), n_rows):
            yield index, np.ascontiguousarray(matrix[start : start + n_rows], dtype=np.float32)
