"""The process that computes embeddings: it loads one model in a sandbox and serves one embedder over two pipes.

Its main thread computes; a second one reads the requests, and ends the process as soon as the other end is closed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from edgeai.backends.llama_embed import LlamaEmbedding
from edgeai.backends.llama_native import bindings
from edgeai.engine.embed_wire import Embed, Embedded, Open, Opened, Request
from edgeai.engine.parent import failures_told, parents_pipe
from edgeai.engine.wire import Loading, Pipe
from edgeai.sandbox import enter


def main(parent_pid: int) -> None:
    """Serve until the embedder closes its end; `parent_pid` is its process."""
    pipe: Pipe[Request] = parents_pipe(parent_pid, Request)
    with contextlib.suppress(EOFError, BrokenPipeError):
        bindings()
        opening = pipe.receive()
        assert isinstance(opening, Open)
        sandbox = enter(opening.policy)
        requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(pipe, requests.put), name="edgeai-requests", daemon=True).start()
        with failures_told(pipe):
            model = _load(opening, pipe)
            pipe.send(Opened(model.dimension, sandbox))
            _serve(model, pipe, requests)
    os._exit(0)  # native libraries would take their time


def _read(pipe: Pipe[Request], put: Callable[[Request], None]) -> None:
    while True:
        try:
            put(pipe.receive())
        except (EOFError, OSError, ValueError):
            os._exit(0)


def _load(opening: Open, pipe: Pipe[Request]) -> LlamaEmbedding:
    told = 0.0

    def report(share: float) -> None:
        nonlocal told
        if share - told >= 0.01:  # llama.cpp tells of every tensor
            told = share
            pipe.send(Loading(share))

    return LlamaEmbedding(
        Path(opening.path),
        n_ctx=opening.n_ctx,
        n_batch=opening.n_batch,
        pooling=opening.pooling,
        max_threads=opening.max_threads,
        follow_load=opening.follow_load,
        on_progress=report,
    )


def _serve(model: LlamaEmbedding, pipe: Pipe[Request], requests: queue.SimpleQueue[Request]) -> None:
    while True:
        request = requests.get()
        assert isinstance(request, Embed)
        with failures_told(pipe):
            for vectors in model.embed(request.texts):
                pipe.send(Embedded(vectors.data, vectors.n_texts, vectors.n_tokens))
