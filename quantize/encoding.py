"""The bytes of all tensors in the artifact, piece by piece.

A piece is read, widened to float32, checked and encoded in one thread, while other threads have other pieces, of the
next tensor too: none waits for the others at a tensor's end. Memory holds some pieces for each thread (smaller ones
where there are many threads), and of tensors that are read as a whole one large one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np

from edgeai.errors import CheckpointError, QuantizeError
from quantize.base import F32, Tensor
from quantize.ggml import Bytes, NotFiniteError, OutOfRangeError, encode, is_valid
from quantize.gguf_format import tensor_bytes
from quantize.gguf_source import GGUFTensor
from quantize.plan import Planned, is_embedding, requires_imatrix
from quantize.safetensors import StoredTensor

_PIECE_BYTES = 2**21  # of float32: larger ones leave threads idle at a small file's end
_LEAST_PIECE_BYTES = 2**16
_IN_WORK_BYTES = 2**26  # of float32 in all threads together: with more of them, the pieces are smaller
_LARGE_BYTES = 2**26  # of a tensor that is read as a whole, and waits until the one before it is gone
_PIECES_A_THREAD = 2  # that wait, encoded, for one before them

_OF_PROJECTOR = ("v.", "mm.")  # begin the names of its tensors, whose types are not chosen one by one

_Work = Callable[[], Bytes]


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


def encoded(
    planned: Sequence[Planned], weights: Mapping[str, F32], n_threads: int, *, check: bool
) -> Generator[tuple[Planned, Bytes]]:
    """The bytes of tensors, in order.

    Args:
        planned: the tensors and their types.
        weights: the importance of their columns, by name. float32 [n_matrices, n_cols]
        n_threads: threads to share the pieces.
        check: refuse what is not finite or what a type cannot hold.
    Yields:
        A tensor, and the next piece of its bytes. uint8 [n_rows, row_bytes]
    Raises:
        CheckpointError: so it is, or a tensor cannot be read.
    """
    pending: deque[tuple[Planned, Future[Bytes]]] = deque()
    n_threads = min(n_threads, _IN_WORK_BYTES // _LEAST_PIECE_BYTES)
    piece_bytes = min(_PIECE_BYTES, _IN_WORK_BYTES // n_threads)
    pool = ThreadPoolExecutor(n_threads)
    try:
        for item in planned:
            if _is_large(item.tensor):
                yield from _done(pending, 0, check)
            for work in _pieces(item, weights.get(item.tensor.name), piece_bytes, check):
                pending.append((item, pool.submit(work)))
                del work  # it may hold all of a tensor, which is to be gone when the next one is read
                yield from _done(pending, _PIECES_A_THREAD * n_threads, check)
        yield from _done(pending, 0, check)
    finally:
        pool.shutdown(cancel_futures=True)


def _done(pending: deque[tuple[Planned, Future[Bytes]]], n_left: int, check: bool) -> Iterator[tuple[Planned, Bytes]]:
    """The first pieces, waited for, until so many are left."""
    while len(pending) > n_left:
        item, piece = pending.popleft()
        try:
            yield item, piece.result()
        except NotFiniteError as exc:
            advice = "fetch the checkpoint again, or let it through with --allow-nan"
            if not check:
                advice = f"{item.qtype} has nothing for that, {_without_it(item)}"
            raise CheckpointError(f"{item.tensor.name}: {exc}: {advice}") from exc
        except OutOfRangeError as exc:
            raise CheckpointError(f"{item.tensor.name}: {exc}: {_without_it(item)}") from exc


def _without_it(item: Planned) -> str:
    if item.tensor.name.startswith(_OF_PROJECTOR):
        return "write the text model alone with --projector none"
    return "choose another type for it with --tensor-type"


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


def _is_large(tensor: Tensor) -> bool:
    return 4 * tensor.n_elements > _LARGE_BYTES and not (_row_reader(tensor) and len(tensor.shape) == 2)


def _row_reader(tensor: Tensor) -> Callable[[int, int], F32] | None:
    return tensor.read_rows if isinstance(tensor, GGUFTensor | StoredTensor) else None


def _pieces(item: Planned, weights: F32 | None, piece_bytes: int, check: bool) -> Iterator[_Work]:
    """What is to be done for each piece of a tensor. What cannot be read row by row is read here."""
    tensor, read_rows = item.tensor, _row_reader(item.tensor)
    if _is_copied(item):
        assert isinstance(tensor, GGUFTensor)
        n_item_bytes = tensor_bytes(tensor.shape[1:], item.qtype) if len(tensor.shape) > 1 else 0  # one row is whole
        for start, stop in _cut((tensor.shape or (1,))[0], n_item_bytes, piece_bytes):
            yield partial(_copy, tensor, start, stop, check)
    elif read_rows and len(tensor.shape) == 2:
        importance = None if weights is None else weights[0]
        for start, stop in _cut(tensor.shape[0], 4 * tensor.shape[1], piece_bytes):
            yield partial(_encode, partial(read_rows, start, stop), item.qtype, importance, check)
    else:
        for index, matrix in enumerate(_matrices(tensor)):
            importance = None if weights is None else weights[index]
            for start, stop in _cut(len(matrix), 4 * matrix.shape[1], piece_bytes):
                yield partial(_encode, partial(_rows, matrix, start, stop), item.qtype, importance, check)


def _cut(n_items: int, n_item_bytes: int, piece_bytes: int) -> Iterator[tuple[int, int]]:
    """From where to where the pieces go."""
    n_taken = max(1, piece_bytes // n_item_bytes) if n_item_bytes else max(n_items, 1)
    for start in range(0, n_items, n_taken):
        yield start, min(start + n_taken, n_items)


def _matrices(tensor: Tensor) -> Iterator[F32]:
    """A tensor, or each of a stack. float32 [n_rows, n_cols]"""
    read_rows, n_cols = _row_reader(tensor), (tensor.shape or (1,))[-1]
    if read_rows and len(tensor.shape) == 3:
        for index in range(tensor.shape[0]):
            yield read_rows(index, index + 1)[0]
    else:
        yield from tensor.read().reshape(math.prod(tensor.shape[:-2]), *(tensor.shape[-2:-1] or (1,)), n_cols)


def _rows(matrix: F32, start: int, stop: int) -> F32:
    return np.ascontiguousarray(matrix[start:stop], dtype=np.float32)


def _encode(read: Callable[[], F32], qtype: str, importance: F32 | None, check: bool) -> Bytes:
    return encode(read(), qtype, importance, check=check)


def _copy(tensor: GGUFTensor, start: int, stop: int, check: bool) -> Bytes:
    block = tensor.read_encoded(start, stop)
    if check and not is_valid(block, tensor.dtype):
        raise NotFiniteError("it holds NaN or infinity")
    return block
