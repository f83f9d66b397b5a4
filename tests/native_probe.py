"""Loads model files with llama.cpp, each in a forked process of its own, and says how that ended.

Reads paths, one a line, from stdin; writes for each `ok`, `refused`, `signal N` or `hang`.
Not a test: tests/test_gguf_header.py runs it.
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
    """Load a model as edgeai does, tokenize, decode a few tokens."""
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
    for n in (min(max(n_tokens, 1), 32), 1):
        llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, n))
    llama_cpp.llama_get_logits_ith(context, -1)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return 0


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
