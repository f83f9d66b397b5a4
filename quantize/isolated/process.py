"""The evaluating process, seen from quantize: started, asked, watched, believed only as far as it can be checked."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeai.engine.link import Link
from edgeai.engine.process import ChildProcess
from edgeai.engine.watchdog import Pace
from edgeai.engine.wire import MAX_MESSAGE_BYTES, Failed
from edgeai.errors import (
    EdgeAIError,
    EngineCrashedError,
    GenerationError,
    ModelError,
    ModelFormatError,
    ModelTooLargeError,
    QuantizeError,
)
from edgeai.gguf_header import read_header
from edgeai.safe_text import one_line
from quantize.evaluate import check_windows
from quantize.isolated.limits import policy
from quantize.isolated.wire import Began, Job, Reply, Task, Working
from quantize.scores import F64
from quantize.subjects import Subject, most_load_steps, read_subject

_START = "import sys; sys.path[:] = sys.argv[2:]; from quantize.isolated.child import main; main(int(sys.argv[1]))"
_MOST_TEXT_BYTES = MAX_MESSAGE_BYTES - 2**20
_MOST_TOKENS_PER_BYTE = 16  # of text: normalizing makes some characters longer
_FEW_TOKENS = 64
_FEW_STEPS = 64
_MOST_PACE = 10  # a step may take so much longer than the first one may: a hundred times a slow one is no bound
_LARGEST_SCORE = 1e39  # nats: what logits of float32 can make
_MAX_MESSAGE_CHARS = 2000
_KINDS = (ModelError, ModelFormatError, ModelTooLargeError, QuantizeError, GenerationError)

_Kind = TypeVar("_Kind")


class Evaluation:
    """A job that runs in its process; `evaluation` makes one.

    Attributes:
        headers: of the models, checked.
    """

    def __init__(self, link: Link[Reply], headers: Sequence[Subject], n_ctx: int, n_text_bytes: int) -> None:
        self.headers = headers
        self._link = link
        self._n_ctx = n_ctx
        self._most_windows = (_MOST_TOKENS_PER_BYTE * n_text_bytes + _FEW_TOKENS) // n_ctx
        self._step = Working(0, "loading the model")
        # loading tells of each tensor, tokenizing of each text, reading of each piece, comparing of some rows
        self._most_steps = _FEW_STEPS + sum(most_load_steps(header) + n_ctx for header in headers)

    @property
    def path(self) -> Path:
        """The model that works now."""
        return self.headers[self._step.model].path

    def n_windows(self) -> int:
        """Wait until the models are loaded: how many windows there are."""
        found = self.next(Began).n_windows
        if not 0 < found <= self._most_windows:
            raise self.distrusted(f"{found:,} windows of {self._n_ctx:,} tokens in so short a text")
        return found

    def next(self, kind: type[_Kind]) -> _Kind:
        """Wait for the next reply that is more than a sign of life.

        Raises:
            EngineCrashedError: the process crashed, hung, sent another, or more signs of life than there are steps.
            EdgeAIError: the job failed.
        """
        for _ in range(self._most_steps):
            reply = self._receive()
            if isinstance(reply, Working):
                if reply.model >= len(self.headers):
                    raise self.distrusted(f"model {reply.model:,} of {len(self.headers):,}")
                self._step = reply
            elif isinstance(reply, kind):
                return reply
            elif isinstance(reply, Failed):
                raise _error(reply)
            else:
                raise self.distrusted(f"{type(reply).__name__} came instead of {kind.__name__}")
        raise self.distrusted(f"{self._most_steps:,} signs of life and no {kind.__name__}")

    def _receive(self) -> Reply:
        """Wait as long as such steps of this model may take here."""
        step, pace, started = self._step, self._link.pace, time.perf_counter()
        phase = f"{step.model} {step.doing}"
        limit_s = min(pace.limit_s(phase), _MOST_PACE * pace.limit_s("a step that was not measured"))
        reply = self._link.receive(limit_s, step.doing)
        if step.doing != "loading the model":  # its steps differ too much
            pace.record(phase, 1, time.perf_counter() - started)
        return reply

    def window_scores(self, data: bytes) -> F64:
        """One window's scores, one for each token that is scored. They may be no numbers: so may a model's."""
        values: F64 = np.frombuffer(self._whole(data, 8), dtype="<f8")
        if np.isfinite(values).all() and np.abs(values).max() > _LARGEST_SCORE:
            raise self.distrusted("scores that no logits give")
        return values

    def window_flags(self, data: bytes) -> NDArray[np.bool_]:
        """One window's truth values, one for each token that is scored."""
        flags: NDArray[np.bool_] = np.frombuffer(self._whole(data, 1), dtype=np.uint8) != 0
        return flags

    def _whole(self, data: bytes, item_bytes: int) -> bytes:
        n_scored = self._n_ctx - self._n_ctx // 2 - 1
        if len(data) != n_scored * item_bytes:
            raise self.distrusted(f"{len(data):,} bytes for the scores of {n_scored:,} tokens")
        return data

    def distrusted(self, what: str) -> EngineCrashedError:
        """The process sent what it never should: it is ended. The error to raise."""
        return self._link.distrusted(what, self._step.doing)


@contextlib.contextmanager
def evaluation(
    task: Task,
    paths: Sequence[str | os.PathLike[str]],
    text: str,
    *,
    n_ctx: int,
    n_chunks: int | None,
    n_threads: int | None,
    process_output: bool = False,
    watchdog_s: float | None = None,
) -> Iterator[Evaluation]:
    """Let models read a text in a process of their own, which ends with the block.

    Args:
        task: what is done; see quantize.isolated.wire.Job, also for the other arguments.
        paths: .gguf files; or folders with an ONNX model, but for the task "collect".
        text: at least two windows long.
        n_ctx: tokens of a window.
        n_chunks: windows to take at most.
        n_threads: None follows the free cores.
        process_output: of the task "collect".
        watchdog_s: seconds without progress after which the process is ended; None follows the measured speed.
    Raises:
        ModelError: a file is no model, or no process can be started here.
        QuantizeError: the text or the window will not do.
        EngineCrashedError: from within the block too; it names the file.
    """
    check_windows(n_ctx, n_chunks)
    data = _encoded(text)
    process: ChildProcess[Reply] = ChildProcess(Reply, _START)  # it imports its libraries while the files are checked
    with contextlib.closing(process):
        read = read_header if task == "collect" else read_subject
        headers: list[Subject] = [read(path) for path in paths]
        job = Job(
            task=task,
            paths=tuple(str(header.path.absolute()) for header in headers),
            text=data,
            n_ctx=n_ctx,
            n_chunks=n_chunks,
            n_threads=n_threads,
            process_output=process_output,
            policy=policy(headers, n_ctx, n_threads, len(data)),
        )
        with _running(process, job, headers, watchdog_s) as started:
            yield started


def _encoded(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if len(data) > _MOST_TEXT_BYTES:
        raise QuantizeError(
            f"the text has {len(data):,} bytes: expected at most {_MOST_TEXT_BYTES:,}; take a shorter one"
        )
    return data


@contextlib.contextmanager
def _running(
    process: ChildProcess[Reply], job: Job, headers: Sequence[Subject], watchdog_s: float | None
) -> Iterator[Evaluation]:
    """Give the process its job and watch over it; what it crashes with names the file."""
    link = Link(process, Pace(sum(header.n_file_bytes for header in headers), watchdog_s))
    started = Evaluation(link, headers, job.n_ctx, len(job.text))
    with contextlib.closing(link):
        try:
            with link.watched():
                link.send(job, "starting")
                yield started
        except EngineCrashedError as exc:
            exc.args = (_words(exc, started.path, process.last_words),)
            raise


def _words(error: EngineCrashedError, path: Path, last_words: str) -> str:
    """The error's text for those who have no session to go on with: it names the file."""
    last = f"; its last words: {last_words}" if last_words else ""
    engine = "ONNX Runtime" if path.is_dir() else "llama.cpp"
    return one_line(
        f"{path}: {engine} {error.end}: expected a sound model and enough memory; make or fetch the file again, or "
        f"close other programs{last}"
    )


def _error(failed: Failed) -> EdgeAIError:
    """The error that a reply tells of; kinds that an evaluation has no reason for become GenerationError."""
    kind = {kind.__name__: kind for kind in _KINDS}.get(failed.kind, GenerationError)
    return kind(one_line(failed.message)[:_MAX_MESSAGE_CHARS])
