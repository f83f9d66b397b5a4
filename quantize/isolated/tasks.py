"""What the process does with its models: windows scored, compared, or their inputs collected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgeai.errors import QuantizeError
from quantize import scores
from quantize.base import F32
from quantize.evaluate import I32, Evaluator, Model, OnStep, windows
from quantize.isolated.wire import (
    Began,
    Collected,
    Compared,
    Difference,
    Guessed,
    Job,
    Matrices,
    Matrix,
    Working,
)
from quantize.scores import Scores

Send = Callable[[msgspec.Struct], None]

_ROWS = 16  # rows scored at once: their temporaries are [_ROWS, n_vocab]


def run(job: Job, send: Send) -> None:
    """Do a job in this process, unprotected.

    Args:
        job: its policy is not entered.
        send: gets the replies of quantize.isolated.wire, in order.
    Raises:
        EdgeAIError: a model or the text will not do.
    """
    {"guess": _guess, "compare": _compare, "collect": _collect}[job.task](job, send)


def prepare(job: Job) -> None:
    """Import what a job needs, before a sandbox closes."""
    if any(map(_is_onnx, job.paths)):
        from quantize.onnx import evaluate

        evaluate.prepare()


def _open(job: Job, send: Send, index: int = 0) -> Model:
    path, tell = job.paths[index], _teller(send, index)
    if not _is_onnx(path):
        return Evaluator(path, n_ctx=job.n_ctx, n_threads=job.n_threads, on_step=tell)
    from quantize.onnx.evaluate import OnnxEvaluator

    return OnnxEvaluator(path, n_ctx=job.n_ctx, n_threads=job.n_threads, on_step=tell)


def _teller(send: Send, index: int) -> OnStep:
    return lambda doing: send(Working(index, doing))


def _is_onnx(path: str) -> bool:
    return Path(path).is_dir()


def _begin(job: Job, send: Send, tokens: I32) -> list[I32]:
    taken = windows(tokens, job.n_ctx, job.n_chunks)
    send(Began(len(taken)))
    return taken


def _guess(job: Job, send: Send) -> None:
    with _open(job, send) as model:
        for window in _begin(job, send, model.tokenize(_text(job))):
            logits = model.logits(window, job.n_ctx // 2)
            parts = [scores.nll(rows, next_tokens) for rows, next_tokens in _scored(logits, window)]
            send(Guessed(np.concatenate(parts).tobytes()))


def _compare(job: Job, send: Send) -> None:
    with contextlib.ExitStack() as stack:
        reference, *candidates = [stack.enter_context(_open(job, send, index)) for index in range(len(job.paths))]
        texts = [_common_tokens(candidate, reference, _text(job)) for candidate in candidates]
        for window in _begin(job, send, texts[0]):
            parts: list[list[Scores]] = [[] for _ in candidates]
            for compared in _compare_window(candidates, reference, window):
                for found, part in zip(parts, compared, strict=True):
                    found.append(part)
            send(Compared(tuple(_difference(Scores.joined(found)) for found in parts)))


def _collect(job: Job, send: Send) -> None:
    from quantize.isolated.collector import Collector, read_window

    collector = Collector(process_output=job.process_output)
    with Evaluator(
        job.paths[0],
        n_ctx=job.n_ctx,
        n_threads=job.n_threads,
        eval_callback=collector.callback,
        on_step=_teller(send, 0),
    ) as model:
        for window in _begin(job, send, model.tokenize(_text(job))):
            read_window(model, window, collector)
            send(Collected())
    entries = collector.entries()
    send(Matrices(len(entries)))
    for name, entry in entries.items():
        send(Matrix(name, entry.sums.tobytes(), tuple(entry.counts.tolist())))


def _text(job: Job) -> str:
    return job.text.decode("utf-8", "replace")


def _difference(found: Scores) -> Difference:
    return Difference(found.nll.tobytes(), found.reference_nll.tobytes(), found.kld.tobytes(), found.same_top.tobytes())


def _common_tokens(candidate: Model, reference: Model, text: str) -> I32:
    tokens = candidate.tokenize(text)
    if candidate.n_vocab == reference.n_vocab and np.array_equal(tokens, reference.tokenize(text)):
        return tokens
    raise QuantizeError(
        f"{candidate.path} and {reference.path} read the text as different tokens (vocabularies of "
        f"{candidate.n_vocab:,} and {reference.n_vocab:,}): compare a model with the one it was made from"
    )


def _compare_window(candidates: Sequence[Model], reference: Model, window: I32) -> Iterator[list[Scores]]:
    """The scores of each candidate, a few rows of the window at a time."""
    first = reference.n_ctx // 2
    models = [_scored(model.logits(window, first), window) for model in (reference, *candidates)]
    for (reference_logits, next_tokens), *others in zip(*models, strict=True):
        reference.on_step("comparing what was read")
        yield [scores.compare(logits, reference_logits, next_tokens) for logits, _ in others]


def _scored(pieces: Iterator[F32], window: I32) -> Iterator[tuple[F32, I32]]:
    """The rows of logits that guess a token of the window, with those tokens, a few rows at a time."""
    position = len(window) // 2
    for piece in pieces:
        for start in range(0, len(piece), _ROWS):
            next_tokens = window[position + 1 : position + 1 + len(piece[start : start + _ROWS])]
            if len(next_tokens):  # the last position guesses a token that is not in the window
                yield piece[start : start + len(next_tokens)], next_tokens
            position += len(piece[start : start + _ROWS])
