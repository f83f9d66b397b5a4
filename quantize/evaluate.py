"""A GGUF model run over a text window by window, for what is measured on every token; see quantize.isolated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import bindings, engine_thread, last_error, recent_errors
from edgeai.backends.threads import ThreadTuner
from edgeai.errors import GenerationError, ModelTooLargeError, QuantizeError
from edgeai.machine import usable_cores
from edgeai.options import LoadOptions
from quantize.base import F32

I32 = NDArray[np.int32]

N_CTX = 512
"""Tokens of a window where nothing else is said, as in llama-perplexity and llama-imatrix."""

Doing = Literal["loading the model", "tokenizing the text", "reading the text", "comparing what was read"]
OnStep = Callable[[Doing], None]
"""Told of every step, before it begins: a sign of life."""


class Model(Protocol):
    """A model that reads a text, whatever its format; see `Evaluator`. It is a context manager."""

    path: Path
    n_ctx: int
    n_vocab: int
    on_step: OnStep

    def tokenize(self, text: str) -> I32: ...
    def logits(self, window: I32, first: int) -> Iterator[F32]: ...
    def __enter__(self) -> Model: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_LEAST_N_CTX = 16
_PIECE = 128  # tokens evaluated at once: [_PIECE, n_vocab] logits are all that is held


class Evaluator:
    """One model with an empty context of one window. Use it as a context manager.

    Attributes:
        path: the file.
        n_ctx: tokens of a window.
        n_vocab: tokens in the vocabulary.
        on_step: as given.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        n_ctx: int = N_CTX,
        n_threads: int | None = None,
        eval_callback: Any = None,
        on_step: OnStep = lambda _doing: None,
    ) -> None:
        """Load a model into this process, which llama.cpp may crash.

        Args:
            path: a .gguf file whose header was checked (edgeai.gguf_header.read_header).
            n_ctx: tokens of a window.
            n_threads: by default as many as there are free cores, followed all the time.
            eval_callback: a `ggml_backend_sched_eval_callback` that sees every operator;
                see quantize.isolated.collector.
            on_step: told of every part of the loading and of every piece that is evaluated.

        Raises:
            ModelError: not a model, or too large.
            QuantizeError: a window of fewer than 16 tokens.
        """
        check_windows(n_ctx)
        self.path, self.n_ctx, self.on_step = Path(path), n_ctx, on_step
        self._llama = bindings()
        self._thread = engine_thread()
        self._context: Any = None
        self._batch: Any = None
        on_step("loading the model")
        self._model: LlamaModel = self._thread.run(
            lambda: LlamaModel(self._llama, self.path, LoadOptions(), lambda _share: on_step("loading the model"))
        )
        self.n_vocab = self._model.n_vocab
        vocab = self._llama.llama_model_get_vocab(self._model.handle)
        self._bos = self._llama.llama_vocab_bos(vocab) if self._llama.llama_vocab_get_add_bos(vocab) else None
        self._tuner = ThreadTuner(usable_cores()) if n_threads is None else None
        self._thread.run(lambda: self._open(n_threads or usable_cores(), eval_callback))

    def _open(self, n_threads: int, eval_callback: Any) -> None:
        params = self._llama.llama_context_default_params()
        params.n_ctx = self.n_ctx
        params.n_batch = params.n_ubatch = min(_PIECE, self.n_ctx)
        params.n_threads = params.n_threads_batch = n_threads
        if eval_callback is not None:
            params.cb_eval = eval_callback
        self._context = self._llama.llama_init_from_model(self._model.handle, params)
        if not self._context:
            self._model.close()
            raise ModelTooLargeError(f"{self.path}: cannot open a context of n_ctx = {self.n_ctx:,}: {last_error()}")
        self._memory = self._llama.llama_get_memory(self._context)
        self._batch = self._llama.llama_batch_init(_PIECE, 0, 1)

    def tokenize(self, text: str) -> I32:
        """Token ids, with the model's own BOS in front where it wants one; control tokens are read as plain text."""
        self.on_step("tokenizing the text")
        tokens = self._model.tokenize(text.encode("utf-8", "replace"), add_special=True, parse_special=False)
        return np.array(tokens, dtype=np.int32)

    def logits(self, window: I32, first: int) -> Iterator[F32]:
        """Evaluate a window from an empty cache.

        Args:
            window: n_ctx tokens or fewer; the first gives way to BOS where the model wants one.
            first: the first position whose logits are wanted.

        Yields:
            Logits of the positions from `first` on, in order, in pieces. [n_rows, n_vocab], good until the next piece.

        Raises:
            GenerationError: llama.cpp failed.
        """
        tokens = window.copy()
        if self._bos is not None:
            tokens[0] = self._bos
        self._llama.llama_memory_clear(self._memory, True)
        if self._tuner is not None:
            self._tuner.resume()
        for start in range(0, len(tokens), _PIECE):
            piece = tokens[start : start + _PIECE]
            n_skipped = min(max(first - start, 0), len(piece))
            self._decode(piece, start, n_skipped)
            if n_rows := len(piece) - n_skipped:
                pointer = self._llama.llama_get_logits(self._context)
                yield np.ctypeslib.as_array(pointer, (n_rows, self.n_vocab))

    def _decode(self, piece: I32, start: int, n_skipped: int) -> None:
        batch, n_tokens = self._batch, len(piece)
        batch.n_tokens = n_tokens
        for index, token in enumerate(piece):
            batch.token[index] = int(token)
            batch.pos[index] = start + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = index >= n_skipped
        self.on_step("reading the text")
        recent_errors.clear()
        started = time.perf_counter()
        status = self._thread.run(lambda: self._llama.llama_decode(self._context, batch))
        if self._tuner is not None:
            self._tuner.record(n_tokens, time.perf_counter() - started)
            self._llama.llama_set_n_threads(self._context, self._tuner.n_threads, self._tuner.n_threads_batch)
        if status != 0:
            raise GenerationError(
                f"{self.path}: llama_decode failed with status {status} at token {start:,} of a window: {last_error()}"
            )

    def close(self) -> None:
        """Free the model. What an interrupted call left running ends first: it has the same thread."""
        context, self._context = self._context, None
        if context:
            self._thread.run(lambda: self._free(context))

    def _free(self, context: Any) -> None:
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(context)
        self._model.close()

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_windows(n_ctx: int, n_chunks: int | None = None) -> None:
    """Refuse windows that are too small, or none.

    Raises:
        QuantizeError: naming the number.
    """
    if not _LEAST_N_CTX <= n_ctx < 2**31:
        raise QuantizeError(f"n_ctx = {n_ctx}: a window needs at least {_LEAST_N_CTX} tokens; {N_CTX} is usual")
    if n_chunks is not None and n_chunks < 1:
        raise QuantizeError(f"n_chunks = {n_chunks}: expected at least 1 window, or None for all")


def windows(tokens: Sequence[int] | I32, n_ctx: int, n_chunks: int | None) -> list[I32]:
    """A text's tokens cut into whole windows; the rest is dropped.

    Args:
        tokens: of the whole text.
        n_ctx: tokens of a window.
        n_chunks: windows to take at most.

    Raises:
        QuantizeError: fewer than two windows of text.
    """
    ids = np.asarray(tokens, dtype=np.int32)
    n_whole = len(ids) // n_ctx
    if n_whole < 2:
        raise QuantizeError(
            f"the text has {len(ids):,} tokens: expected at least two windows of {n_ctx:,}; take a longer text"
        )
    n_taken = n_whole if n_chunks is None else min(n_chunks, n_whole)
    return [ids[index * n_ctx : (index + 1) * n_ctx] for index in range(n_taken)]
