"""Loads model files with llama.cpp, each in a forked process of its own, and says how that ended.

Reads paths, one a line, from stdin; writes for each `ok`, `refused`, `signal N` or `hang`.
Not a test: tests/test_gguf_survival.py runs it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import Any

from llama_cpp import llama_cpp

TIMEOUT_S = 20
TEXT = "Hello, world!\n 12 日本 🙂<|im_end|>\x00".encode()
REFUSED = 3


def use(path: str) -> int:
    """Load a model as edgeai does, tokenize, decode and sample a few tokens."""
    params = llama_cpp.llama_model_default_params()
    model: Any = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        return REFUSED
    vocab: Any = llama_cpp.llama_model_get_vocab(model)
    tokens = (llama_cpp.llama_token * 256)()
    n_tokens = llama_cpp.llama_tokenize(vocab, TEXT, len(TEXT), tokens, 256, True, True)
    piece = ctypes.create_string_buffer(4096)
    for token in range(llama_cpp.llama_vocab_n_tokens(vocab)):
        llama_cpp.llama_token_to_piece(vocab, token, piece, len(piece), 0, True)
        llama_cpp.llama_vocab_is_eog(vocab, token)
    llama_cpp.llama_model_chat_template(model, None)
    context_params = llama_cpp.llama_context_default_params()
    context_params.n_ctx, context_params.n_batch, context_params.n_ubatch = 128, 32, 32
    context_params.n_threads = context_params.n_threads_batch = 1
    context: Any = llama_cpp.llama_init_from_model(model, context_params)
    if not context:
        return REFUSED
    sampler = _sampler(llama_cpp.llama_vocab_n_tokens(vocab))
    n = min(max(n_tokens, 1), 32)
    for _ in range(4):
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, n)):
            return REFUSED
        tokens[0] = llama_cpp.llama_sampler_sample(sampler, context, -1)
        n = 1
    llama_cpp.llama_sampler_free(sampler)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return 0


def _sampler(n_vocab: int) -> Any:
    """All kinds of samplers that edgeai uses, one after the other."""
    chain: Any = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for sampler in (
        llama_cpp.llama_sampler_init_penalties(n_vocab, 64, 1.1, 0.0, 0.0),
        llama_cpp.llama_sampler_init_top_k(40),
        llama_cpp.llama_sampler_init_top_p(0.9, 1),
        llama_cpp.llama_sampler_init_min_p(0.05, 1),
        llama_cpp.llama_sampler_init_temp(0.8),
        llama_cpp.llama_sampler_init_dist(1),
    ):
        llama_cpp.llama_sampler_chain_add(chain, sampler)
    return chain


def probe(path: str) -> str:
    """How using a model ended."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # answers only on the parent's stdout
        os._exit(use(path))
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return f"signal {os.WTERMSIG(status)}"
            return {0: "ok", REFUSED: "refused"}.get(os.WEXITSTATUS(status), f"exit {os.WEXITSTATUS(status)}")
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang"


def main() -> None:
    """Answer line by line."""
    for line in sys.stdin:
        print(probe(line.rstrip("\n")), flush=True)


if __name__ == "__main__":
    main()
