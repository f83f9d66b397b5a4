"""What a quantized KV cache costs and saves: perplexity and divergence from f16 on a long text, memory, speed.

python -m benchmarks.kv_types [--model PATH] [--n-ctx 4096] [--windows 2] [--threads N]

All caches read the same windows of the bundled texts side by side, piece by piece, each with attention as edgeai sets
it for that type. The line "f16 fused" is no choice of ours: it shows what the other order of sums changes by itself.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import model_path, print_machine
from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import bindings
from edgeai.fit import ModelShape, estimate_for
from edgeai.gguf_header import read_header
from edgeai.machine import usable_cores
from edgeai.options import LoadOptions
from quantize import scores
from quantize.scores import Scores
from quantize.texts import calibration_text

I32 = NDArray[np.int32]
CACHES = {
    "f16": LoadOptions(),
    "f16 fused": LoadOptions(flash_attn=True),
    "q8_0 / q8_0": LoadOptions(type_k="q8_0", type_v="q8_0"),
    "q8_0 / q4_0": LoadOptions(type_k="q8_0", type_v="q4_0"),
    "q4_0 / q4_0": LoadOptions(type_k="q4_0", type_v="q4_0"),
}
REFERENCE = "f16"
PIECE = 128  # tokens evaluated at once, as edgeai does
FIRST = 256  # tokens of a window before the first that is scored
N_DECODED = 48
_ROWS = 32  # scored at once


@dataclass
class Figures:
    """What one kind of cache gave."""

    parts: list[Scores] = field(default_factory=list)
    prefill_s: float = 0.0
    decode_s: list[float] = field(default_factory=list)


class Cache:
    """A context with one kind of KV cache on a model that all share."""

    def __init__(self, model: LlamaModel, options: LoadOptions, n_ctx: int, n_threads: int) -> None:
        self._llama = llama = bindings()
        self._n_vocab = model.n_vocab
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, PIECE, PIECE
        params.n_threads = params.n_threads_batch = n_threads
        params.type_k = getattr(llama, f"GGML_TYPE_{options.type_k.upper()}")
        params.type_v = getattr(llama, f"GGML_TYPE_{options.type_v.upper()}")
        params.flash_attn_type = int(bool(options.fused_attention))
        self._context: Any = llama.llama_init_from_model(model.handle, params)
        assert self._context, options
        self._batch = llama.llama_batch_init(PIECE, 0, 1)

    def clear(self) -> None:
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)

    def evaluate(self, tokens: I32, start: int) -> NDArray[np.float32]:
        """Logits of a piece that stands at `start`, good until the next. [n_tokens, n_vocab]"""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index], batch.pos[index] = int(token), start + index
            batch.n_seq_id[index], batch.seq_id[index][0], batch.logits[index] = 1, 0, True
        assert self._llama.llama_decode(self._context, batch) == 0
        pointer = ctypes.cast(self._llama.llama_get_logits(self._context), ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(pointer, (len(tokens), self._n_vocab))

    def close(self) -> None:
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(self._context)


def measure(
    path: Path,
    text: str,
    *,
    n_ctx: int,
    n_windows: int,
    n_threads: int,
    on_piece: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Figures]:
    """Let every kind of cache read the same windows of a text.

    Args:
        path: the model.
        text: at least one window long.
        n_ctx: tokens of a window; N_DECODED more are decoded after it.
        n_windows: windows at most.
        n_threads: threads; as many as there are free cores, or all of them wait for each other.
        on_piece: told how many pieces are done, and of how many.
    """
    model = LlamaModel(bindings(), path, LoadOptions(), None)
    caches = {name: Cache(model, options, n_ctx + N_DECODED, n_threads) for name, options in CACHES.items()}
    tokens = np.array(model.tokenize(text.encode(), add_special=True, parse_special=False), np.int32)
    windows = [tokens[start : start + n_ctx] for start in range(0, len(tokens) - n_ctx + 1, n_ctx)][:n_windows]
    figures = {name: Figures() for name in caches}
    n_pieces = len(windows) * math.ceil(n_ctx / PIECE)
    for number, (window, start) in enumerate(_pieces(windows), 1):
        read_piece(caches, figures, window, start)
        on_piece(number, n_pieces)
    _decode(caches, figures, windows[-1])
    for cache in caches.values():
        cache.close()
    model.close()
    return figures


def _pieces(windows: Sequence[I32]) -> Iterator[tuple[I32, int]]:
    for window in windows:
        yield from ((window, start) for start in range(0, len(window), PIECE))


def read_piece(caches: dict[str, Cache], figures: dict[str, Figures], window: I32, start: int) -> None:
    """Let every cache evaluate a piece, and compare what it gives with the reference."""
    piece, next_tokens = window[start : start + PIECE], window[start + 1 : start + 1 + PIECE]
    logits = {}
    for name, cache in caches.items():
        if not start:
            cache.clear()
        began = time.perf_counter()
        logits[name] = cache.evaluate(piece, start)
        figures[name].prefill_s += time.perf_counter() - began
    if start < FIRST:
        return
    for row in range(0, len(next_tokens), _ROWS):
        rows = slice(row, min(row + _ROWS, len(next_tokens)))
        for name, values in logits.items():
            scored = scores.compare(values[rows], logits[REFERENCE][rows], next_tokens[rows])
            figures[name].parts.append(scored)


def _decode(caches: dict[str, Cache], figures: dict[str, Figures], window: I32) -> None:
    """Single tokens behind a full window; the caches take turns."""
    for index in range(N_DECODED):
        for name, cache in caches.items():
            began = time.perf_counter()
            cache.evaluate(window[index : index + 1], len(window) + index)
            figures[name].decode_s.append(time.perf_counter() - began)


def table(path: Path, figures: dict[str, Figures], n_ctx: int) -> list[str]:
    """One line for each kind of cache."""
    shape = ModelShape.from_header(read_header(path))
    lines = [
        f"{'K / V':<12}{'KV, MiB':>8}{'all, MiB':>9}{'perplexity':>11}{'KL mean':>9}{'KL 99 %':>9}{'KL max':>8}"
        f"{'same top':>10}{'prefill/s':>10}{'decode/s':>9}"
    ]
    for name, found in figures.items():
        need = estimate_for(shape, CACHES[name], n_ctx)
        joined = Scores.joined(found.parts)
        n_read = len(joined.nll) * n_ctx / (n_ctx - FIRST - 1)
        lines.append(
            f"{name:<12}{need.kv_bytes / 2**20:>8.1f}{need.total_bytes / 2**20:>9.0f}"
            f"{scores.perplexity(joined.nll).value:>11.3f}{max(joined.kld.mean(), 0.0):>9.5f}"
            f"{np.percentile(joined.kld, 99):>9.4f}{joined.kld.max():>8.3f}{joined.same_top.mean():>10.2%}"
            f"{n_read / found.prefill_s:>10.0f}{1 / statistics.median(found.decode_s):>9.1f}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--n-ctx", type=int, default=4096)
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--threads", type=int, default=usable_cores())
    arguments = parser.parse_args()
    path = arguments.model or model_path()
    print_machine()
    figures = measure(
        path,
        calibration_text(),
        n_ctx=arguments.n_ctx,
        n_windows=arguments.windows,
        n_threads=arguments.threads,
        on_piece=lambda done, of: print(f"  piece {done} of {of}", end="\r", flush=True),
    )
    n_scored = len(Scores.joined(figures[REFERENCE].parts).nll)
    print(
        f"{path.name}, windows of {arguments.n_ctx:,} tokens, {n_scored:,} tokens scored; KL in nats from {REFERENCE}"
    )
    print("\n".join(table(path, figures, arguments.n_ctx)))


if __name__ == "__main__":
    main()
