"""How well written numbers follow the right ones: Pearson's and Spearman's correlation, and how sure they are.

Intervals come from Fisher's z: atanh(r) is nearly normal with the variance 1 / (n - 3), and for ranks
(1 + r² / 2) / (n - 3). The difference of two models' correlations with the same right numbers has Zou's interval, made
from both intervals and the correlation between the models.

Source: Fisher 1921; Bonett and Wright 2000, "Sample size requirements for estimating Pearson, Kendall and Spearman
correlations"; Zou 2007, "Toward using confidence intervals to compare correlations", section on overlapping ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054  # of the normal distribution's middle 95 %
_LEAST = 4  # pairs, below which Fisher's z has no variance


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation, and the interval in which the true one lies with 95 % confidence.

    Attributes:
        value: -1..1; 0 where one side is the same number throughout, as llm-jp-eval counts it.
        low: the interval's lower end.
        high: its upper end.
    """

    value: float
    low: float
    high: float


def correlated(written: Sequence[float], right: Sequence[float], *, ranked: bool) -> Correlation:
    """How numbers go together.

    Args:
        written: [n], n >= 1.
        right: [n]
        ranked: Spearman's: of their ranks, equals sharing the mean of theirs.
    """
    value = _coefficient(written, right, ranked)
    if value is None or len(written) < _LEAST:
        return Correlation(value or 0.0, -1.0, 1.0)
    if abs(value) == 1.0:
        return Correlation(value, value, value)
    middle = math.atanh(value)
    half = Z * math.sqrt((1 + value * value / 2 if ranked else 1) / (len(written) - 3))
    return Correlation(value, math.tanh(middle - half), math.tanh(middle + half))


def difference(
    first: Sequence[float], second: Sequence[float], right: Sequence[float], *, ranked: bool
) -> tuple[float, float, float]:
    """The first correlation with the right numbers minus the second, and its interval.

    Args:
        first: [n], one model's numbers.
        second: [n], the other's.
        right: [n]
        ranked: see `correlated`.
    """
    if list(first) == list(second):
        return 0.0, 0.0, 0.0
    one, other = correlated(first, right, ranked=ranked), correlated(second, right, ranked=ranked)
    return zou(one, other, _coefficient(first, second, ranked) or 0.0)


def zou(one: Correlation, other: Correlation, between: float) -> tuple[float, float, float]:
    """The difference of two correlations with the same variable, and its interval.

    Args:
        one: the first.
        other: the second.
        between: the correlation of the two variables that are not the same.
    """
    r, s = one.value, other.value
    spread = (1 - r * r) * (1 - s * s)
    shared = ((between - r * s / 2) * (1 - r * r - s * s - between**2) + between**3) / spread if spread else 0.0

    def half(this: float, that: float) -> float:
        return math.sqrt(max(0.0, this * this + that * that - 2 * shared * this * that))

    low, high = half(r - one.low, other.high - s), half(one.high - r, s - other.low)
    return r - s, r - s - low, r - s + high


def _coefficient(first: Sequence[float], second: Sequence[float], ranked: bool) -> float | None:
    """None where one side is the same number throughout."""
    import numpy as np

    sides = [np.asarray(_ranks(side) if ranked else side, np.float64) for side in (first, second)]
    if any(side.min() == side.max() for side in sides):
        return None
    one, other = ((side - side.mean()) / np.abs(side - side.mean()).max() for side in sides)  # no square overflows
    value = float((one * other).sum() / math.sqrt((one * one).sum() * (other * other).sum()))
    return max(-1.0, min(1.0, value))


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1; equals have the mean of theirs."""
    import numpy as np

    _, places, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    return [float(rank) for rank in (np.cumsum(counts) - (counts - 1) / 2)[places]]
