"""The messages between quantize and the process in which a model reads a text, checked as `edgeai.engine.wire` does.

Numbers travel as the bytes of little-endian float32 or float64: they arrive as they were.
"""

from __future__ import annotations

from typing import Annotated, Literal, Union

import msgspec

from edgeai.engine.wire import Count, Failed
from edgeai.sandbox import Policy
from quantize.evaluate import Doing

Task = Literal["guess", "compare", "collect"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Enter the sandbox and let models read a text. The only request.

    Attributes:
        task: of one model the scores of its guesses, or its importance matrix; or the scores of all but the first,
            compared with the first.
        paths: the models, absolute.
        text: UTF-8.
        n_ctx: tokens of a window.
        n_chunks: windows to take at most; None for all.
        n_threads: None follows the free cores.
        process_output: of "collect"; see quantize.isolated.collector.Collector.
        policy: the sandbox.
    """

    task: Task
    paths: tuple[str, ...]
    text: bytes
    n_ctx: int
    n_chunks: int | None
    n_threads: int | None
    process_output: bool
    policy: Policy


class Working(msgspec.Struct, frozen=True, tag=True):
    """A step of one model begins."""

    model: Count
    doing: Doing


class Began(msgspec.Struct, frozen=True, tag=True):
    """The models are loaded, and there are so many windows."""

    n_windows: Count


class Guessed(msgspec.Struct, frozen=True, tag=True):
    """A window's scores. float64"""

    nll: bytes


class Difference(msgspec.Struct, frozen=True):
    """One candidate's quantize.scores.Scores of a window. float64; `same_top` a byte each"""

    nll: bytes
    reference_nll: bytes
    kld: bytes
    same_top: bytes


class Compared(msgspec.Struct, frozen=True, tag=True):
    """A window's scores, one a candidate."""

    candidates: tuple[Difference, ...]


class Collected(msgspec.Struct, frozen=True, tag=True):
    """A window was read."""


class Matrices(msgspec.Struct, frozen=True, tag=True):
    """All windows were read; so many matrices follow."""

    n_matrices: Count


class Matrix(msgspec.Struct, frozen=True, tag=True):
    """One entry of an importance matrix. `sums`: float32"""

    name: str
    sums: bytes
    counts: tuple[Annotated[int, msgspec.Meta(ge=0, lt=2**53)], ...]


Reply = Union[Working, Began, Guessed, Compared, Collected, Matrices, Matrix, Failed]  # noqa: UP007 - read at run time
