"""Calibration: a model reads a text, and the squared inputs of each of its weight matrices are summed up.

    imatrix = collect("model-F16.gguf", calibration_text())
    write_imatrix(imatrix, "model.imatrix.gguf")

The model reads in a process of its own, in the sandbox (quantize.isolated): its file may come from anybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np

from edgeai.gguf_header import GGUFHeader
from quantize.evaluate import N_CTX
from quantize.imatrix import Entry, Imatrix
from quantize.isolated.limits import n_inputs
from quantize.isolated.process import Evaluation, evaluation
from quantize.isolated.wire import Collected, Matrices, Matrix

OnProgress = Callable[[int, int], None]
"""Told how many windows are done, and of how many."""

_SUM_BYTES = 4  # float32
_MORE_INPUTS = 16  # than the weights have: ggml calls a weight that it reshapes "NAME (reshaped)"


def collect(
    path: str | os.PathLike[str],
    text: str,
    *,
    dataset: str = "",
    n_ctx: int = N_CTX,
    n_chunks: int | None = None,
    n_threads: int | None = None,
    process_output: bool = False,
    on_progress: OnProgress | None = None,
) -> Imatrix:
    """Let a model read a text and collect the importance of its weights' inputs.

    Args:
        path: a .gguf file, best in F16, BF16 or F32.
        text: at least two windows long.
        dataset: the text's name, for the file.
        n_ctx: tokens of a window.
        n_chunks: windows to evaluate at most; all by default.
        n_threads: by default as many as there are free cores.
        process_output: take the output matrix too, which is better quantized without; as in llama-imatrix.
        on_progress: told after every window.

    Raises:
        ModelError: no such file, not a model, or too large.
        QuantizeError: the text is too short, or the model gives no numbers.
        GenerationError: llama.cpp failed.
    """
    with evaluation(
        "collect",
        [path],
        text,
        n_ctx=n_ctx,
        n_chunks=n_chunks,
        n_threads=n_threads,
        process_output=process_output,
    ) as running:
        n_windows = running.n_windows()
        for n_done in range(1, n_windows + 1):
            running.next(Collected)
            if on_progress is not None:
                on_progress(n_done, n_windows)
        entries = _received(running)
    return Imatrix(entries, (dataset,) if dataset else (), n_windows, n_ctx)


def _received(running: Evaluation) -> Mapping[str, Entry]:
    """The entries that the process sends, each checked: of the model's own weights, and no more than these can fill."""
    (header,) = running.headers
    assert isinstance(header, GGUFHeader)
    weights = {tensor.name: tensor for tensor in header.tensors}
    left = _MORE_INPUTS * sum(map(n_inputs, weights.values()))
    entries: dict[str, Entry] = {}
    for _ in range(running.next(Matrices).n_matrices):
        matrix = running.next(Matrix)
        left -= len(matrix.sums) // _SUM_BYTES
        if matrix.name in entries or matrix.name.partition(" (")[0] not in weights or left < 0:
            raise running.distrusted("a matrix that the model does not have")
        entries[matrix.name] = _entry(running, matrix)
    return entries


def _entry(running: Evaluation, matrix: Matrix) -> Entry:
    n_counts, n_bytes = len(matrix.counts), len(matrix.sums)
    if not n_counts or not n_bytes or n_bytes % (n_counts * _SUM_BYTES):
        raise running.distrusted(f"a matrix of {n_bytes:,} bytes and {n_counts:,} counts")
    sums = np.frombuffer(matrix.sums, dtype="<f4").astype(np.float32)
    if not np.isfinite(sums).all() or (sums < 0).any():
        raise running.distrusted("sums of squares that are negative or no numbers")
    return Entry(sums, np.array(matrix.counts, dtype=np.int64))
