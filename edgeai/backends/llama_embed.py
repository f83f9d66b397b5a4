"""Embeddings by GGUF models on llama.cpp's C API: several texts in one batch, one pooled vector for each."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import bindings, last_error, recent_errors
from edgeai.backends.threads import ThreadTuner
from edgeai.errors import GenerationError, ModelTooLargeError
from edgeai.options import LoadOptions

POOLINGS = {"mean": 1, "cls": 2, "last": 3}
"""How a text's vector is made of its tokens' vectors: llama.cpp's names and numbers (llama_pooling_type)."""
_MAX_TEXTS = 64  # in one batch; llama.cpp takes 256 sequences
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Vectors:
    """What one batch gave.

    Attributes:
        data: one vector a text, in order: little-endian float32, of any length. [n_texts, dimension]
        n_texts: texts.
        n_tokens: tokens that were evaluated.
    """

    data: bytes
    n_texts: int
    n_tokens: int


class LlamaEmbedding:
    """One embedding model. One thread at a time.

    Attributes:
        dimension: numbers in a vector.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int,
        n_batch: int,
        pooling: str,
        max_threads: int,
        follow_load: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Load a model. The file's header has been checked before (edgeai.gguf_header).

        Args:
            path: the .gguf file.
            n_ctx: tokens of a text; what is longer is cut.
            n_batch: tokens that are evaluated together, where several texts fit.
            pooling: one of POOLINGS.
            max_threads: threads.
            follow_load: take fewer threads while other processes need the cores.
            on_progress: told the share that is loaded, 0..1.

        Raises:
            ModelFormatError: llama.cpp refuses the file.
            ModelTooLargeError: the buffers cannot be allocated.
        """
        self._llama = bindings()
        self._path, self._n_ctx, self._n_batch = path, n_ctx, min(n_batch, n_ctx)
        self._max_texts = min(_MAX_TEXTS, n_ctx)  # llama.cpp ends the process where a batch has fewer tokens than texts
        self._tuner = ThreadTuner(max_threads) if follow_load and max_threads > 1 else None
        self._model = LlamaModel(self._llama, path, LoadOptions(), on_progress)
        self._context = self._open(POOLINGS[pooling], max_threads)
        self._memory = self._llama.llama_get_memory(self._context)  # an encoder has none
        self._batch = self._llama.llama_batch_init(n_ctx, 0, 1)
        self.dimension = int(self._llama.llama_model_n_embd_out(self._model.handle))
        vocab = self._llama.llama_model_get_vocab(self._model.handle)
        self._has_end = bool(self._llama.llama_vocab_get_add_eos(vocab) or self._llama.llama_vocab_get_add_sep(vocab))

    def _open(self, pooling: int, n_threads: int) -> Any:
        params = self._llama.llama_context_default_params()
        params.n_ctx = self._n_ctx
        params.n_batch = params.n_ubatch = self._n_ctx  # an encoder sees a text as a whole, never in pieces
        params.n_seq_max = self._max_texts
        params.kv_unified = True  # else each text would have an equal share of the cells
        params.n_threads = params.n_threads_batch = n_threads
        params.embeddings = True
        params.pooling_type = pooling
        context = self._llama.llama_init_from_model(self._model.handle, params)
        if not context:
            self._model.close()
            raise ModelTooLargeError(f"{self._path}: cannot open a context of {self._n_ctx:,} tokens: {last_error()}")
        return context

    def embed(self, texts: Sequence[bytes]) -> Iterator[Vectors]:
        """The vectors of UTF-8 texts, batch by batch. What a text says of control tokens is plain text.

        Raises:
            GenerationError: llama.cpp failed.
        """
        if self._tuner is not None:
            self._tuner.resume()
            self._set_threads(self._tuner)
        batch: list[list[int]] = []
        n_tokens = 0
        for text in texts:
            tokens = self._tokens(text)
            if batch and (len(batch) == self._max_texts or n_tokens + len(tokens) > self._n_batch):
                yield self._evaluate(batch, n_tokens)
                batch, n_tokens = [], 0
            batch.append(tokens)
            n_tokens += len(tokens)
        if batch:
            yield self._evaluate(batch, n_tokens)

    def _tokens(self, text: bytes) -> list[int]:
        """A text's tokens, cut to the context as the models' own tokenizers cut it: the end token stays."""
        tokens = self._model.tokenize(text, add_special=True, parse_special=False)
        if len(tokens) > self._n_ctx:
            tokens = [*tokens[: self._n_ctx - 1], tokens[-1]] if self._has_end else tokens[: self._n_ctx]
        return tokens or [max(self._model.end_id, 0)]  # a batch holds at least one token of each text

    def _evaluate(self, texts: Sequence[Sequence[int]], n_tokens: int) -> Vectors:
        self._fill(texts, n_tokens)
        if self._memory:
            self._llama.llama_memory_clear(self._memory, True)
        recent_errors.clear()
        started = time.perf_counter()
        status = self._llama.llama_decode(self._context, self._batch)
        if self._tuner is not None:
            self._tuner.record(n_tokens, time.perf_counter() - started)
            self._set_threads(self._tuner)
        if status != 0:
            raise GenerationError(f"{self._path}: llama.cpp failed with status {status} on texts: {last_error()}")
        return Vectors(b"".join(self._vector(text) for text in range(len(texts))), len(texts), n_tokens)

    def _fill(self, texts: Sequence[Sequence[int]], n_tokens: int) -> None:
        batch, index = self._batch, 0
        batch.n_tokens = n_tokens
        for number, tokens in enumerate(texts):
            for position, token in enumerate(tokens):
                batch.token[index], batch.pos[index] = token, position
                batch.n_seq_id[index], batch.seq_id[index][0], batch.logits[index] = 1, number, True
                index += 1

    def _vector(self, number: int) -> bytes:
        pointer = self._llama.llama_get_embeddings_seq(self._context, number)
        if not pointer:
            raise GenerationError(f"{self._path}: llama.cpp gave no vector: expected an embedding model; take another")
        return ctypes.string_at(pointer, self.dimension * _FLOAT_BYTES)

    def _set_threads(self, tuner: ThreadTuner) -> None:
        self._llama.llama_set_n_threads(self._context, tuner.n_threads, tuner.n_threads_batch)

    def close(self) -> None:
        """Free native memory."""
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(self._context)
        self._model.close()
