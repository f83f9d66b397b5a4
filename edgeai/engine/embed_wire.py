"""The messages between an embedder and its engine process, checked as `edgeai.engine.wire` does.

Vectors travel as the bytes of little-endian float32: they arrive as they were.
"""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from edgeai.engine.wire import Count, Failed, Loading
from edgeai.sandbox import Policy, Report

Pooling = Literal["mean", "cls", "last"]


class Open(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Enter the sandbox, then load a model. The first request, and only once; see LlamaEmbedding."""

    path: str
    n_ctx: int
    n_batch: int
    pooling: Pooling
    max_threads: int
    follow_load: bool
    policy: Policy


class Embed(msgspec.Struct, frozen=True, tag=True):
    """Make the vectors of these texts, each of them UTF-8."""

    texts: list[bytes]


Request = Union[Open, Embed]  # noqa: UP007 - msgspec reads it at run time


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded, within this sandbox."""

    dimension: Count
    sandbox: Report


class Embedded(msgspec.Struct, frozen=True, tag=True):
    """The vectors of the next texts, in order; Embed is answered once all of its texts have theirs."""

    vectors: bytes
    n_texts: Count
    n_tokens: Count


Reply = Union[Loading, Opened, Embedded, Failed]  # noqa: UP007
