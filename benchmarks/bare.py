"""llama.cpp's C API in a bare loop, as llama-cpp-python binds it: the peer for speed and the oracle for the tests."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


QUIET = llama.llama_log_callback(lambda _level, _text, _user_data: None)


class Bare:
    """One model and one context, with nothing round it."""

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int = 256,
        n_batch: int = 256,
        n_ubatch: int = 64,
        n_threads: int = 1,
        flash_attn: bool | None = False,
        type_kv: int = llama.GGML_TYPE_F16,
    ) -> None:
        """Load; `flash_attn` None leaves it to llama.cpp, which takes it."""
        llama.llama_log_set(QUIET, ctypes.c_void_p(0))
        llama.llama_backend_init()
        model_params = llama.llama_model_default_params()
        model_params.n_gpu_layers = 0
        model_params.use_extra_bufts = b"AMX_INT8 = 1" not in llama.llama_print_system_info()  # they crash
        self.model: Any = llama.llama_model_load_from_file(str(path).encode(), model_params)
        assert self.model, path
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_batch, n_ubatch
        params.n_threads = params.n_threads_batch = n_threads
        params.swa_full = False
        params.type_k = params.type_v = type_kv
        if flash_attn is not None:
            params.flash_attn_type = int(flash_attn)
        self.context: Any = llama.llama_init_from_model(self.model, params)
        assert self.context, path
        self.vocab: Any = llama.llama_model_get_vocab(self.model)
        self.n_vocab: int = llama.llama_vocab_n_tokens(self.vocab)
        self.n_batch = n_batch

    def close(self) -> None:
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)

    def clear(self) -> None:
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)

    def tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        n_tokens = llama.llama_tokenize(self.vocab, data, len(data), ids, len(ids), True, parse_special)
        return list(ids[:n_tokens])

    def evaluate(self, tokens: Sequence[int]) -> None:
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        assert llama.llama_decode(self.context, llama.llama_batch_get_one(ids, len(tokens))) == 0

    def prefill(self, tokens: Sequence[int]) -> None:
        """Evaluate a prompt in pieces of n_batch."""
        for start in range(0, len(tokens), self.n_batch):
            self.evaluate(tokens[start : start + self.n_batch])

    def decode(self, n_tokens: int) -> Iterator[bytes]:
        """Greedy tokens, as bytes, by the native sampler, until an end token."""
        sampler = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        llama.llama_sampler_chain_add(sampler, llama.llama_sampler_init_greedy())
        buffer = ctypes.create_string_buffer(256)
        one = (ctypes.c_int32 * 1)()
        for index in range(n_tokens):
            token = llama.llama_sampler_sample(sampler, self.context, -1)
            if llama.llama_vocab_is_eog(self.vocab, token):
                break
            n_bytes = llama.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
            yield buffer.raw[:n_bytes]
            if index < n_tokens - 1:
                one[0] = token
                assert llama.llama_decode(self.context, llama.llama_batch_get_one(one, 1)) == 0
        llama.llama_sampler_free(sampler)

    def logits(self, tokens: Sequence[int]) -> F32:
        """The last token's logits, after what was evaluated before. [n_vocab]"""
        self.evaluate(tokens)
        return np.array(np.ctypeslib.as_array(llama.llama_get_logits_ith(self.context, -1), (self.n_vocab,)))

    def greedy(self, pieces: Sequence[Sequence[int]], n_tokens: int) -> list[int]:
        """The likeliest continuation of a prompt that is evaluated in these pieces, from an empty cache."""
        self.clear()
        for piece in pieces:
            logits = self.logits(piece)
        answer = [int(logits.argmax())]
        while len(answer) < n_tokens:
            answer.append(int(self.logits(answer[-1:]).argmax()))
        return answer
