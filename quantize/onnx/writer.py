"""Writes model.onnx and model.onnx.data, in one pass over the weights.

A piece of a weight is read, put into order, encoded in one thread, and written to its place, while other threads have
other pieces, of the next weight too. Memory holds some pieces for each thread, and of tensors that can only be read as
a whole, one large one.
"""

from __future__ import annotations

import contextlib
import errno
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edgeai.errors import CheckpointError, QuantizeError
from edgeai.machine import usable_cores
from quantize.imatrix import read_imatrix
from quantize.onnx.decoder import decoder_of
from quantize.onnx.encoding import Encoded, Encoder, is_read_whole, pieces_of
from quantize.onnx.graph import OPSETS, model_proto
from quantize.onnx.nodes import DATA_FILE
from quantize.onnx.options import OnnxOptions
from quantize.onnx.plan import PlannedWeight, data_bytes, plan_weights
from quantize.pipeline import Model, Progress

__all__ = ["MODEL_FILE", "OPSETS", "WrittenGraph", "write_graph"]

MODEL_FILE = "model.onnx"
_PIECES_A_THREAD = 2  # that wait, encoded, for one before them
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class WrittenGraph:
    """What was made.

    Attributes:
        planned: its weights.
        n_params: how many numbers they are; of a shared head none.
        n_bytes: of both files.
    """

    planned: list[PlannedWeight]
    n_params: int
    n_bytes: int


def write_graph(
    model: Model,
    folder: Path,
    options: OnnxOptions,
    progress: Callable[[Progress], None] | None = None,
) -> WrittenGraph:
    """Write both files; of a run that fails, neither stays.

    Args:
        model: as `quantize.pipeline.open_model` gives it.
        folder: exists, and has neither.
        options: how weights are encoded.
        progress: told of each piece that has been written.
    Raises:
        UnsupportedArchitectureError: its graph is not known.
        CheckpointError: a weight is missing, damaged, or cannot be encoded.
        QuantizeError: the disk is full or cannot be written, or the importance matrix is another model's.
    """
    decoder = decoder_of(model.metadata, model.tensors)
    planned = plan_weights(decoder, options)
    importance = read_imatrix(options.imatrix).importance() if options.imatrix else {}
    paths = [folder / MODEL_FILE, folder / DATA_FILE]
    try:
        with paths[1].open("xb") as file:
            file.truncate(data_bytes(planned))
            _write_weights(file, planned, Encoder(options, importance), options.n_threads, progress)
        paths[0].write_bytes(model_proto(decoder, planned, options).SerializeToString())
        n_bytes = sum(path.stat().st_size for path in paths)
    except BaseException as exc:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            advice = "make room" if exc.errno in _NO_ROOM else "check the rights of its folder"
            raise QuantizeError(
                f"{folder}: cannot be written ({exc.strerror or exc}): {advice}, or choose another place with --out"
            ) from exc
        raise
    n_params = sum(int(np.prod(item.shape)) for item in planned if item.n_bytes and not item.name.startswith("rope."))
    return WrittenGraph(planned, n_params, n_bytes)


def _write_weights(
    file: BinaryIO,
    planned: Sequence[PlannedWeight],
    encoder: Encoder,
    n_threads: int | None,
    progress: Callable[[Progress], None] | None,
) -> None:
    n_done, n_total = 0, sum(item.n_bytes for item in planned)
    for item, parts in _encoded(planned, encoder, n_threads or usable_cores()):
        for offset, data in parts:
            file.seek(offset)
            file.write(data)
            n_done += len(data)
        if progress is not None:
            progress(Progress(item.name, n_done, n_total))
    if n_done != n_total:
        raise CheckpointError(f"the weights came with {n_done:,} bytes, expected {n_total:,}; start again")


def _encoded(
    planned: Sequence[PlannedWeight], encoder: Encoder, n_threads: int
) -> Iterator[tuple[PlannedWeight, Encoded]]:
    """The pieces of all weights, in order."""
    pending: deque[tuple[PlannedWeight, Future[Encoded]]] = deque()
    pool = ThreadPoolExecutor(n_threads)
    try:
        for item in planned:
            if item.n_bytes == 0:
                continue
            if is_read_whole(item):
                yield from _done(pending, 0)
            for piece in pieces_of(item, n_threads):
                pending.append((item, pool.submit(encoder.encode, piece)))
                del piece  # it may hold all of a tensor, which is to be gone when the next one is read
                yield from _done(pending, _PIECES_A_THREAD * n_threads)
        yield from _done(pending, 0)
    finally:
        pool.shutdown(cancel_futures=True)


def _done(
    pending: deque[tuple[PlannedWeight, Future[Encoded]]], n_left: int
) -> Iterator[tuple[PlannedWeight, Encoded]]:
    """The first pieces, waited for, until so many are left."""
    while len(pending) > n_left:
        item, encoded = pending.popleft()
        yield item, encoded.result()
