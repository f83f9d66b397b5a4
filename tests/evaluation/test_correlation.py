"""Correlations and their intervals, against numbers worked out by hand or published."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from edgeai.evaluation.correlation import Correlation, correlated, difference, zou
from edgeai.evaluation.intervals import estimate, paired
from edgeai.evaluation.metrics import METRICS, Score

RIGHT = [1.0, 2.0, 3.0, 4.0, 5.0]
WRITTEN = [2.0, 1.0, 4.0, 4.0, 5.0]


def fisher(value: float, n: int) -> Correlation:
    half = 1.96 / math.sqrt(n - 3)
    return Correlation(value, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half))


def test_pearson() -> None:
    """Means 3 and 3.2; products 2.4 + 2.2 + 0 + 0.8 + 3.6 = 9; squares 10 and 10.8: 9 / sqrt(108) = 0.86603.

    atanh(0.86603) = 1.31696, and 1.95996 / sqrt(2) = 1.38590: tanh of -0.06894 and of 2.70286.
    """
    found = correlated(WRITTEN, RIGHT, ranked=False)
    assert (found.value, found.low, found.high) == pytest.approx((0.86603, -0.06883, 0.99106), abs=1e-4)


def test_spearman_gives_equals_the_mean_of_their_ranks() -> None:
    """Ranks 2, 1, 3.5, 3.5, 5 against 1 … 5: products 2 + 2 + 0 + 0.5 + 4 = 8.5; squares 9.5 and 10: 0.87208.

    atanh is 1.34170, and 1.95996 · sqrt((1 + 0.76053/2) / 2) = 1.62822: tanh of -0.28652 and of 2.96992.
    """
    found = correlated(WRITTEN, RIGHT, ranked=True)
    assert (found.value, found.low, found.high) == pytest.approx((0.87208, -0.27893, 0.99475), abs=1e-4)


def test_the_standard_library_finds_the_same() -> None:
    rng = random.Random(3)
    for _ in range(20):
        first, second = ([rng.choice((-2.0, 0.5, 1.0, 3.0)) for _ in range(12)] for _ in range(2))
        assert correlated(first, second, ranked=False).value == pytest.approx(statistics.correlation(first, second))
        ranks = [
            [statistics.mean(i for i, y in enumerate(sorted(side)) if x == y) for x in side] for side in (first, second)
        ]
        assert correlated(first, second, ranked=True).value == pytest.approx(statistics.correlation(*ranks))


def test_what_is_no_correlation_counts_as_nothing_and_anything_may_be_true() -> None:
    assert correlated([-2.0] * 5, RIGHT, ranked=False) == Correlation(0.0, -1.0, 1.0)
    assert correlated([3.0], [3.0], ranked=True) == Correlation(0.0, -1.0, 1.0)
    two = correlated([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ranked=False)
    assert (two.value, two.low, two.high) == pytest.approx((1.0, -1.0, 1.0))
    huge = correlated([1e300, 2e300, -1e300, 0.0], [1.0, 2.0, -1.0, 0.0], ranked=False)
    assert huge.value == pytest.approx(1.0)


def test_the_difference_is_zous_own_example() -> None:
    """Zou 2007, of overlapping correlations: 0.396 and 0.179, between them 0.088, n = 66: (-0.093, 0.517)."""
    found = zou(fisher(0.396, 66), fisher(0.179, 66), 0.088)
    assert found == pytest.approx((0.217, -0.093, 0.517), abs=5e-4)


def test_two_models() -> None:
    same = difference(WRITTEN, WRITTEN, RIGHT, ranked=False)
    assert same == (0.0, 0.0, 0.0)
    forwards = difference(WRITTEN, [5.0, 5.0, 5.0, 5.0, 5.0], RIGHT, ranked=False)
    backwards = difference([5.0, 5.0, 5.0, 5.0, 5.0], WRITTEN, RIGHT, ranked=False)
    assert forwards[0] == pytest.approx(0.86603, abs=1e-4)
    assert backwards == pytest.approx((-forwards[0], -forwards[2], -forwards[1]))
    perfect = difference(RIGHT, WRITTEN, RIGHT, ranked=True)
    assert perfect[0] == pytest.approx(1 - 0.87208, abs=1e-4)
    assert perfect[1] <= perfect[0] <= perfect[2]


def test_figures_of_a_run() -> None:
    first: list[Score] = list(zip(WRITTEN, RIGHT, strict=True))
    second: list[Score] = list(zip(reversed(RIGHT), RIGHT, strict=True))
    for name, value in (("pearson", 0.86603), ("spearman", 0.87208)):
        found = estimate(METRICS[name], first)
        assert found.value == pytest.approx(value, abs=1e-4)
        both = paired(METRICS[name], first, second)
        assert both.difference == pytest.approx(value + 1, abs=1e-4)
        assert (found.n, both.n, both.p_value) == (5, 5, None)
        assert 0 < both.low < both.difference < both.high
