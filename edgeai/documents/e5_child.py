"""The process that embeds texts with e5: it loads the model, enters the sandbox, and answers batch after batch."""

from __future__ import annotations

import contextlib
import os
from typing import Annotated, Union

import msgspec

from edgeai.documents.e5 import E5Embedder
from edgeai.engine.parent import parents_pipe
from edgeai.engine.wire import Pipe
from edgeai.errors import DocumentError
from edgeai.sandbox import Policy, enter


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load the model and enter the sandbox. The first message. `n_threads` None: one for each core."""

    n_threads: Annotated[int, msgspec.Meta(ge=1, lt=1024)] | None
    policy: Policy


class Embed(msgspec.Struct, frozen=True, tag=True):
    """Turn texts into vectors: questions or passages. UTF-8; what is no text in it is replaced."""

    texts: list[bytes]
    is_query: bool


Request = Union[Load, Embed]  # noqa: UP007 - msgspec reads it at run time


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """Answers Load."""


class Embedded(msgspec.Struct, frozen=True, tag=True):
    """Answers Embed: float32, little-endian, a vector after the other."""

    data: bytes


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Answers Load: the model does not run here. `words`: why."""

    words: str


Reply = Union[Loaded, Embedded, Refused]  # noqa: UP007


def main(parent_pid: int) -> None:
    """Serve until the other end is closed; `parent_pid` is its process."""
    pipe: Pipe[Request] = parents_pipe(parent_pid, Request)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # beside busy processes a question takes 0.05 s, else up to 4 s
    with contextlib.suppress(EOFError, BrokenPipeError):
        load = pipe.receive()
        assert isinstance(load, Load)
        try:
            embedder = E5Embedder(load.n_threads)
        except DocumentError as exc:
            pipe.send(Refused(str(exc)))
            return
        enter(load.policy)
        pipe.send(Loaded())
        while True:
            request = pipe.receive()
            assert isinstance(request, Embed)
            texts = [text.decode("utf-8", "replace") for text in request.texts]
            vectors = embedder.embed_query(texts) if request.is_query else embedder.embed_passages(texts)
            pipe.send(Embedded(vectors.astype("<f4").tobytes()))
    os._exit(0)  # native libraries would take their time
