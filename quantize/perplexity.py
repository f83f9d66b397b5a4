"""What quantizing lost: perplexity, and the divergence from a reference, measured as llama-perplexity does.

    quality = divergence("model-Q4_K_M.gguf", "model-F16.gguf", text)
    quality.perplexity.value, quality.kld_mean.value, quality.same_top.value

The text is cut into windows of n_ctx tokens. Each starts from an empty cache, with BOS for its first token where the
model wants one, and only the tokens of its second half are scored, so that every score has a context behind it.

llama-perplexity evaluates several windows in one batch where they fit. With windows of 512 and a multiple of 4 of them
its figures are ours digit by digit; a last batch of 3 windows is split where ggml's kernels round some rows otherwise,
and differs by some parts in a thousand. `llama-perplexity -b N_CTX` has one window a batch, as here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgeai.errors import QuantizeError
from quantize import scores
from quantize.base import F32
from quantize.evaluate import I32, N_CTX, Evaluator, windows
from quantize.scores import F64, Estimate, Scores

OnProgress = Callable[[int, int], None]
"""Told how many windows are done, and of how many."""

_ROWS = 16  # rows scored at once: their temporaries are [_ROWS, n_vocab]


@dataclass(frozen=True, slots=True)
class Perplexity:
    """How well a model guesses a text.

    Attributes:
        perplexity: with its error.
        n_ctx: tokens of a window.
        n_windows: windows evaluated.
        n_tokens: tokens scored.
    """

    perplexity: Estimate
    n_ctx: int
    n_windows: int
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Divergence:
    """How a candidate differs from its reference on a text.

    Attributes:
        perplexity: the candidate's.
        reference_perplexity: the reference's.
        kld_mean: mean KL divergence of a token's distribution from the reference's, nats.
        kld_median: its median.
        kld_99: its 99th percentile.
        kld_max: the worst token's.
        same_top: share of tokens for which both hold the same token for the likeliest, 0..1.
        n_ctx: tokens of a window.
        n_windows: windows evaluated.
        n_tokens: tokens scored.
    """

    perplexity: Estimate
    reference_perplexity: Estimate
    kld_mean: Estimate
    kld_median: float
    kld_99: float
    kld_max: float
    same_top: Estimate
    n_ctx: int
    n_windows: int
    n_tokens: int


def perplexity(
    path: str | os.PathLike[str],
    text: str,
    *,
    n_ctx: int = N_CTX,
    n_chunks: int | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> Perplexity:
    """Measure a model's perplexity on a text.

    Args:
        path: a .gguf file.
        text: at least two windows long.
        n_ctx: tokens of a window.
        n_chunks: windows to evaluate at most; all by default.
        n_threads: by default as many as there are free cores.
        on_progress: told after every window.

    Raises:
        ModelError: no such file, not a model, or too large.
        QuantizeError: the text is too short, or the model gives no numbers.
        GenerationError: llama.cpp failed.
    """
    parts: list[F64] = []
    with Evaluator(path, n_ctx=n_ctx, n_threads=n_threads) as model:
        taken = windows(model.tokenize(text), n_ctx, n_chunks)
        for n_done, window in enumerate(taken, start=1):
            parts += [
                scores.nll(logits, next_tokens)
                for logits, next_tokens in _scored(model.logits(window, n_ctx // 2), window)
            ]
            _report(on_progress, n_done, len(taken))
        values = np.concatenate(parts)
        _check_finite(model, values)
    return Perplexity(scores.perplexity(values), n_ctx, len(taken), len(values))


def divergence(
    candidate_path: str | os.PathLike[str],
    reference_path: str | os.PathLike[str],
    text: str,
    *,
    n_ctx: int = N_CTX,
    n_chunks: int | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> Divergence:
    """Compare a model with the one it was made from, both on the same text, piece by piece side by side.

    Args:
        candidate_path: a .gguf file.
        reference_path: the .gguf file that it is measured by, usually F16 or F32.
        text: at least two windows long.
        n_ctx: tokens of a window.
        n_chunks: windows to evaluate at most; all by default.
        n_threads: by default as many as there are free cores.
        on_progress: told after every window.

    Raises:
        ModelError: a file is no model, or too large.
        QuantizeError: the text is too short, the vocabularies differ, or a model gives no numbers.
        GenerationError: llama.cpp failed.
    """
    (found,) = divergences(
        [candidate_path],
        reference_path,
        text,
        n_ctx=n_ctx,
        n_chunks=n_chunks,
        n_threads=n_threads,
        on_progress=on_progress,
    )
    return found


def divergences(
    candidate_paths: Sequence[str | os.PathLike[str]],
    reference_path: str | os.PathLike[str],
    text: str,
    *,
    n_ctx: int = N_CTX,
    n_chunks: int | None = None,
    n_threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Divergence]:
    """The same of several candidates that are open together, so that the reference reads the text once.

    Raises:
        ModelError, QuantizeError, GenerationError: as `divergence`.
    """
    with contextlib.ExitStack() as stack:
        reference, *candidates = [
            stack.enter_context(Evaluator(path, n_ctx=n_ctx, n_threads=n_threads))
            for path in (reference_path, *candidate_paths)
        ]
        texts = [_common_tokens(candidate, reference, text) for candidate in candidates]
        taken = windows(texts[0], n_ctx, n_chunks)
        parts: list[list[Scores]] = [[] for _ in candidates]
        for n_done, window in enumerate(taken, start=1):
            for compared in _compare_window(candidates, reference, window):
                for found, part in zip(parts, compared, strict=True):
                    found.append(part)
            _report(on_progress, n_done, len(taken))
        joined = [Scores.joined(found) for found in parts]
        for candidate, found_scores in zip(candidates, joined, strict=True):
            _check_finite(reference, found_scores.reference_nll)
            _check_finite(candidate, found_scores.nll, found_scores.kld)
    return [_divergence(found_scores, n_ctx, len(taken)) for found_scores in joined]


def _divergence(joined: Scores, n_ctx: int, n_windows: int) -> Divergence:
    return Divergence(
        perplexity=scores.perplexity(joined.nll),
        reference_perplexity=scores.perplexity(joined.reference_nll),
        kld_mean=scores.mean(joined.kld),
        kld_median=float(np.median(joined.kld)),
        kld_99=float(np.quantile(joined.kld, 0.99)),
        kld_max=float(joined.kld.max()),
        same_top=scores.share(joined.same_top),
        n_ctx=n_ctx,
        n_windows=n_windows,
        n_tokens=len(joined.nll),
    )


def _common_tokens(candidate: Evaluator, reference: Evaluator, text: str) -> I32:
    tokens = candidate.tokenize(text)
    if candidate.n_vocab == reference.n_vocab and np.array_equal(tokens, reference.tokenize(text)):
        return tokens
    raise QuantizeError(
        f"{candidate.path} and {reference.path} read the text as different tokens (vocabularies of "
        f"{candidate.n_vocab:,} and {reference.n_vocab:,}): compare a model with the one it was made from"
    )


def _compare_window(candidates: Sequence[Evaluator], reference: Evaluator, window: I32) -> Iterator[list[Scores]]:
    """The scores of each candidate, a few rows of the window at a time."""
    first = reference.n_ctx // 2
    models = [_scored(model.logits(window, first), window) for model in (reference, *candidates)]
    for (reference_logits, next_tokens), *others in zip(*models, strict=True):
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


def _check_finite(model: Evaluator, *values: F64) -> None:
    if not all(np.isfinite(array).all() for array in values):
        raise QuantizeError(
            f"{model.path}: the model's logits are not numbers (NaN or Inf): its weights are damaged or overflow; "
            "quantize it again from a sound checkpoint"
        )


def _report(on_progress: OnProgress | None, n_done: int, n_total: int) -> None:
    if on_progress is not None:
        on_progress(n_done, n_total)
