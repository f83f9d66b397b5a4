"""llama.cpp's own functions in a bare loop: the oracle for the backend and the cache."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeai.backends.llama_native import bindings

F32 = NDArray[np.float32]


class Native:
    """One model and one context, one thread."""

    def __init__(self, path: Path, *, n_ctx: int = 256, n_batch: int = 256, n_ubatch: int = 64) -> None:
        self.llama = llama_cpp = bindings()
        model_params = llama_cpp.llama_model_default_params()
        model_params.use_extra_bufts = b"AMX_INT8 = 1" not in llama_cpp.llama_print_system_info()
        self.model: Any = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
        assert self.model
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_batch, n_ubatch
        params.n_threads = params.n_threads_batch = 1
        params.swa_full = False
        self.context: Any = llama_cpp.llama_init_from_model(self.model, params)
        assert self.context
        self.vocab: Any = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab: int = llama_cpp.llama_vocab_n_tokens(self.vocab)

    def close(self) -> None:
        self.llama.llama_free(self.context)
        self.llama.llama_model_free(self.model)

    def clear(self) -> None:
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)

    def evaluate(self, tokens: Sequence[int]) -> None:
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        assert self.llama.llama_decode(self.context, self.llama.llama_batch_get_one(ids, len(tokens))) == 0

    def logits(self, tokens: Sequence[int]) -> F32:
        """The last token's logits, after what was evaluated before. [n_vocab]"""
        self.evaluate(tokens)
        return np.array(np.ctypeslib.as_array(self.llama.llama_get_logits_ith(self.context, -1), (self.n_vocab,)))

    def greedy(self, pieces: Sequence[Sequence[int]], n_tokens: int) -> list[int]:
        """The likeliest continuation of a prompt that is evaluated in these pieces, from an empty cache."""
        self.clear()
        for piece in pieces:
            logits = self.logits(piece)
        answer = [int(logits.argmax())]
        while len(answer) < n_tokens:
            answer.append(int(self.logits(answer[-1:]).argmax()))
        return answer

    def tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        n_tokens = self.llama.llama_tokenize(self.vocab, data, len(data), ids, len(ids), True, parse_special)
        return list(ids[:n_tokens])
