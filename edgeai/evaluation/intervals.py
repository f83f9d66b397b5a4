"""How sure a figure is: 95 % confidence intervals, and whether two models differ.

Shares of right answers have Wilson's score interval, correlations Fisher's, and all other means a bootstrap's: the
questions are drawn anew, with replacement, a fixed number of times with a fixed seed, and the middle 95 % of the means
are the interval (percentile method). Where all scores are the same a bootstrap knows nothing: scores between 0 and 1
have Wilson's interval then, and differences that are all nothing Bonett and Price's: wide enough for any such score.

Two models are compared question by question: the difference of shares has Bonett and Price's interval and McNemar's
test in its exact form, the binomial's on the questions that only one got right; the difference of other means a
bootstrap's over pairs, that of correlations Zou's.

Source: Wilson 1927; Efron and Tibshirani 1993, chapters 13 and 16; Bonett and Price 2012; McNemar 1947, exact form as
in Fagerland, Lydersen and Laake 2013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeai.evaluation.correlation import Z, correlated
from edgeai.evaluation.correlation import difference as correlation_difference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeai.evaluation.metrics import Metric, Score

N_RESAMPLES = 2000
SEED = 20210103
_MAX_CELLS = 2_000_000  # drawn at once: 16 MB of indices


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the interval in which the true one lies with 95 % confidence.

    Attributes:
        value: the figure.
        low: the interval's lower end.
        high: its upper end.
        n: questions.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Paired:
    """The first model's figure minus the second's, on the same questions.

    Attributes:
        difference: of the figures.
        low: the interval's lower end.
        high: its upper end.
        n: questions that both answered.
        only_first: questions that only the first got right; None where none is right or wrong.
        only_second: the same of the second.
        p_value: McNemar's, exact and two-sided: how likely such a difference would be between equals.
    """

    difference: float
    low: float
    high: float
    n: int
    only_first: int | None = None
    only_second: int | None = None
    p_value: float | None = None


def estimate(metric: Metric, scores: Sequence[Score]) -> Estimate:
    """A metric's figure over questions, at least one."""
    n = len(scores)
    if metric.is_correlation:
        written, right = zip(*scores, strict=True)
        found = correlated(written, right, ranked=metric.kind == "spearman")
        return Estimate(found.value, found.low, found.high, n)
    value = _mean(metric, scores)
    if metric.kind == "share" or (not metric.is_cost and len({value for value, _ in scores}) == 1):
        return Estimate(value, *wilson(value * n, n), n)
    import numpy as np

    sums = _resampled(np.array([[value * weight, weight] for value, weight in scores]))  # [N_RESAMPLES, 2]
    means = _figures(metric, sums[:, 0] / sums[:, 1])
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(value, float(low), float(high), n)


def paired(metric: Metric, first: Sequence[Score], second: Sequence[Score]) -> Paired:
    """How two models differ on the same questions, given in the same order; at least one."""
    n = len(first)
    if metric.is_correlation:
        right = [number for _, number in first]
        one, other = ([number for number, _ in scores] for scores in (first, second))
        return Paired(*correlation_difference(one, other, right, ranked=metric.kind == "spearman"), n)
    difference = _mean(metric, first) - _mean(metric, second)
    if metric.kind == "share":
        only_first = sum(one > other for (one, _), (other, _) in zip(first, second, strict=True))
        only_second = sum(one < other for (one, _), (other, _) in zip(first, second, strict=True))
        low, high = bonett_price(only_first, only_second, n)
        return Paired(difference, low, high, n, only_first, only_second, mcnemar(only_first, only_second))
    if not metric.is_cost and all(one == other for one, other in zip(first, second, strict=True)):
        return Paired(difference, *bonett_price(0, 0, n), n)
    import numpy as np

    columns = [[*_weighed(one), *_weighed(other)] for one, other in zip(first, second, strict=True)]
    sums = _resampled(np.array(columns))  # [N_RESAMPLES, 4]
    differences = _figures(metric, sums[:, 0] / sums[:, 1]) - _figures(metric, sums[:, 2] / sums[:, 3])
    low, high = map(float, np.percentile(differences, (2.5, 97.5)))
    return Paired(difference, low, high, n)


def wilson(n_right: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 %."""
    share, z2 = n_right / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def bonett_price(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """Of the difference of two shares over the same n questions: Wald's interval with one more on either side, 95 %."""
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = Z * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(-1.0, first - second - half), min(1.0, first - second + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact, two-sided p-value: twice the smaller tail of a fair coin's tosses, 1 at most."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = ways = 1  # whole numbers: exact however many there are
    for k in range(fewer):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return 1.0 if 2 * tail >= 2**n else 2 * tail / 2**n


def _weighed(score: Score) -> tuple[float, float]:
    value, weight = score
    return value * weight, weight


def _mean(metric: Metric, scores: Sequence[Score]) -> float:
    mean = math.fsum(value * weight for value, weight in scores) / math.fsum(weight for _, weight in scores)
    return _exp(mean) if metric.kind == "exp_mean" else mean


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))  # of more is no number


def _figures(metric: Metric, means: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    return np.exp(np.minimum(means, 700.0)) if metric.kind == "exp_mean" else means


def _resampled(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of columns over rows drawn with replacement. [n, k] to [N_RESAMPLES, k]"""
    import numpy as np

    rng, n = np.random.default_rng(SEED), len(columns)
    at_once = max(1, _MAX_CELLS // n)
    parts = []
    for start in range(0, N_RESAMPLES, at_once):
        drawn = rng.integers(0, n, (min(at_once, N_RESAMPLES - start), n))
        parts.append(columns[drawn].sum(axis=1))
    return np.concatenate(parts)
