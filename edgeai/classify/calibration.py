"""From log-probabilities to probabilities, less what the model says whatever the text is.

Models prefer some labels before they have read a word: because they are common words, or stood last in the examples.
Contextual calibration asks about texts without content and divides by the answer.

Source: Zhao et al. 2021, "Calibrate Before Use: Improving Few-Shot Performance of Language Models", section 5. As
there, W is diag(p_cf)^-1 and b is 0, the content-free inputs are theirs, and p_cf is the mean over them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CONTENT_FREE = ("N/A", "", "[MASK]")
LEAST_EXAMPLES = 8
"""So many known answers must there be to tell whether calibration helps."""


def normalized(log_probs: Sequence[float]) -> list[float]:
    """Probabilities that sum to 1; all alike where each is impossible."""
    top = max(log_probs)
    if top == -math.inf:
        return [1 / len(log_probs)] * len(log_probs)
    weights = [math.exp(value - top) for value in log_probs]
    total = sum(weights)
    return [weight / total for weight in weights]


def prior_of(content_free: Sequence[Sequence[float]]) -> list[float]:
    """What is answered to texts without content.

    Args:
        content_free: log-probabilities of the answers to each of them. [n_texts, n_answers]
    Returns:
        Probabilities that sum to 1, none of them 0.
    """
    rows = [normalized(row) for row in content_free]
    means = [max(sum(column) / len(rows), 1e-12) for column in zip(*rows, strict=True)]
    total = sum(means)
    return [mean / total for mean in means]


def calibrated(log_probs: Sequence[float], prior: Sequence[float] | None) -> list[float]:
    """Probabilities of answers, each divided by its prior; None leaves them as they are."""
    if prior is None:
        return normalized(log_probs)
    return normalized([value - math.log(share) for value, share in zip(log_probs, prior, strict=True)])


def helps(plain: Sequence[float], with_prior: Sequence[float], n_right: int, n_right_with_prior: int) -> bool:
    """Whether calibration is measurably better on texts whose answers are known.

    It is where it finds no fewer right answers, and the mean logarithm of the right answers' probabilities is higher by
    more than the standard error of the difference.

    Args:
        plain: probabilities of the right answers, not calibrated; each at most 1.
        with_prior: the same, calibrated.
        n_right: texts whose likeliest answer is the right one, not calibrated.
        n_right_with_prior: the same, calibrated.
    """
    if len(plain) < LEAST_EXAMPLES or n_right_with_prior < n_right:
        return False
    gains = [math.log(max(b, 1e-12)) - math.log(max(a, 1e-12)) for a, b in zip(plain, with_prior, strict=True)]
    mean = sum(gains) / len(gains)
    variance = sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1)
    return mean > math.sqrt(variance / len(gains))
