"""How good a model's guesses of the next token are, by the formulas of llama-perplexity.

Source: tools/perplexity/perplexity.cpp of ggml-org/llama.cpp. The reference's log-probabilities go through the same
16-bit code that it keeps them in on disk, and the tail below exp(-16) counts for nothing: without that, divergences
would differ from those that are published for other models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantize.base import F32
from quantize.evaluate import I32

F64 = NDArray[np.float64]

_CODE_STEPS = 65535
_TAIL = 16.0  # log-probabilities further below the highest are not kept
_MIN_FOR_ERROR = 10  # an error is given from more tokens than this


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What is known of every scored token.

    Attributes:
        nll: -log p(token) by the candidate. [n]
        reference_nll: the same by the reference. [n]
        kld: the KL divergence of the candidate's distribution from the reference's, nats. [n]
        same_top: whether both hold the same token for the likeliest. [n]
    """

    nll: F64
    reference_nll: F64
    kld: F64
    same_top: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """The scores of many pieces of text, in order."""
        return cls(
            np.concatenate([part.nll for part in parts]),
            np.concatenate([part.reference_nll for part in parts]),
            np.concatenate([part.kld for part in parts]),
            np.concatenate([part.same_top for part in parts]),
        )


def nll(logits: F32, next_tokens: I32) -> F64:
    """-log p of the token that really follows.

    Args:
        logits: [n, n_vocab]
        next_tokens: [n]
    Returns:
        [n], nats.
    """
    highest = logits.max(axis=1)  # [n]
    log_sum = np.log(np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64))
    chosen = logits[np.arange(len(logits)), next_tokens]
    result: F64 = highest.astype(np.float64) + log_sum - chosen
    return result


def compare(logits: F32, reference_logits: F32, next_tokens: I32) -> Scores:
    """Score a candidate against a reference on the same tokens.

    Args:
        logits: the candidate's. [n, n_vocab]
        reference_logits: the reference's. [n, n_vocab]
        next_tokens: what really follows. [n]
    """
    highest = logits.max(axis=1)
    log_sum = np.log(np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64)).astype(np.float32)
    log_total = (highest + log_sum)[:, None]  # [n, 1]
    reference = _coded_log_probs(reference_logits)  # [n, n_vocab]
    weights = np.where(reference > -_TAIL, np.exp(reference), 0)
    rows = np.arange(len(logits))
    return Scores(
        nll=(log_total[:, 0] - logits[rows, next_tokens]).astype(np.float64),
        reference_nll=-reference[rows, next_tokens].astype(np.float64),
        kld=(weights * (reference - logits + log_total)).sum(axis=1, dtype=np.float64),
        same_top=logits.argmax(axis=1) == reference.argmax(axis=1),
    )


def _coded_log_probs(logits: F32) -> F32:
    """Log-probabilities after llama-perplexity's 16-bit code. [n, n_vocab]"""
    highest = logits.max(axis=1, keepdims=True)
    lowest = np.maximum(logits.min(axis=1, keepdims=True), highest - np.float32(_TAIL))
    log_sum = np.log(np.exp(logits - highest).sum(axis=1, dtype=np.float64, keepdims=True)).astype(np.float32)
    scale = (highest - lowest) / np.float32(_CODE_STEPS)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    code = np.rint(np.maximum(logits - lowest, 0) * inverse)
    result: F32 = scale * code + (lowest - highest - log_sum)
    return result


def mean(values: F64) -> Estimate:
    """The mean with its standard error; 0 where too few tokens tell."""
    count = len(values)
    value = float(values.mean())
    variance = float((values * values).mean()) - value * value
    if variance <= 0 or count <= _MIN_FOR_ERROR:
        return Estimate(value, 0.0)
    return Estimate(value, math.sqrt(variance / (count - 1)))


def perplexity(values: F64) -> Estimate:
    """exp of the mean -log p, its error by the delta method."""
    log = mean(values)
    value = math.exp(log.value)
    return Estimate(value, value * log.error)


def share(flags: NDArray[np.bool_]) -> Estimate:
    """The share of tokens for which something holds, with the binomial's error."""
    value = float(flags.mean())
    return Estimate(value, math.sqrt(value * (1 - value) / max(len(flags) - 1, 1)))
