"""What quantizing lost: perplexity, and the divergence from a reference, measured as llama-perplexity does.

    quality = divergence("model-Q4_K_M.gguf", "model-F16.gguf", text)
    quality.perplexity.value, quality.kld_mean.value, quality.same_top.value

The text is cut into windows of n_ctx tokens. Each starts from an empty cache, with BOS for its first token where the
model wants one, and only the tokens of its second half are scored, so that every score has a context behind it.

llama-perplexity evaluates several windows in one batch where they fit. With windows of 512 and a multiple of 4 of them
its figures are ours digit by digit; a last batch of 3 windows is split where ggml's kernels round some rows otherwise,
and differs by some parts in a thousand. `llama-perplexity -b N_CTX` has one window a batch, as here.

The models run in a process of its own, in the sandbox (quantize.isolated): a file may come from anybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeai.errors import QuantizeError
from quantize import scores
from quantize.evaluate import N_CTX
from quantize.isolated.process import Evaluation, evaluation
from quantize.isolated.wire import Compared, Difference, Guessed
from quantize.scores import F64, Estimate, Scores

OnProgress = Callable[[int, int], None]
"""Told how many windows are done, and of how many."""

_WORST_NLL = 700.0  # nats in the mean: exp of more is no number


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
        path: a .gguf file, or the folder of an ONNX model.
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
    with evaluation("guess", [path], text, n_ctx=n_ctx, n_chunks=n_chunks, n_threads=n_threads) as running:
        n_windows = running.n_windows()
        for n_done in range(1, n_windows + 1):
            parts.append(running.window_scores(running.next(Guessed).nll))
            _report(on_progress, n_done, n_windows)
    values = np.concatenate(parts)
    _check(path, values)
    return Perplexity(scores.perplexity(values), n_ctx, n_windows, len(values))


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
        candidate_path: a .gguf file, or the folder of an ONNX model.
        reference_path: the one that it is measured by, usually F16 or F32.
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
    paths = [reference_path, *candidate_paths]
    parts: list[list[Scores]] = [[] for _ in candidate_paths]
    with evaluation("compare", paths, text, n_ctx=n_ctx, n_chunks=n_chunks, n_threads=n_threads) as running:
        n_windows = running.n_windows()
        for n_done in range(1, n_windows + 1):
            for found, difference in zip(parts, _compared(running, len(parts)), strict=True):
                found.append(_scores(running, difference))
            _report(on_progress, n_done, n_windows)
    joined = [Scores.joined(found) for found in parts]
    for path, found_scores in zip(candidate_paths, joined, strict=True):
        _check(reference_path, found_scores.reference_nll)
        _check(path, found_scores.nll, found_scores.kld)
    return [_divergence(found_scores, n_ctx, n_windows) for found_scores in joined]


def _compared(running: Evaluation, n_candidates: int) -> Sequence[Difference]:
    candidates = running.next(Compared).candidates
    if len(candidates) != n_candidates:
        raise running.distrusted(f"scores of {len(candidates):,} models for {n_candidates:,}")
    return candidates


def _scores(running: Evaluation, difference: Difference) -> Scores:
    nll, reference_nll, kld = map(running.window_scores, (difference.nll, difference.reference_nll, difference.kld))
    return Scores(nll, reference_nll, kld, running.window_flags(difference.same_top))


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


def _check(path: str | os.PathLike[str], nll: F64, *others: F64) -> None:
    """Refuse scores that are no numbers, or that have no perplexity."""
    if not all(np.isfinite(array).all() for array in (nll, *others)) or nll.mean() > _WORST_NLL:
        raise QuantizeError(
            f"{os.fspath(path)}: the model's logits are not numbers (NaN or Inf): its weights are damaged or overflow; "
            "quantize it again from a sound checkpoint"
        )


def _report(on_progress: OnProgress | None, n_done: int, n_total: int) -> None:
    if on_progress is not None:
        on_progress(n_done, n_total)
