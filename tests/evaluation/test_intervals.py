"""Intervals and tests, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from edgeai.evaluation.intervals import bonett_price, estimate, mcnemar, paired, wilson
from edgeai.evaluation.metrics import METRICS, Score


def shares(*values: float) -> list[Score]:
    return [(value, 1.0) for value in values]


def test_wilson() -> None:
    """8 of 10: (0.8 + 3.8415/20) / 1.38415 ± 1.96 / 1.38415 · sqrt(0.016 + 3.8415/400) = 0.71674 ± 0.22658."""
    assert wilson(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 3.8415 / 13.8415), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((10 / 13.8415, 1.0), abs=1e-4)
    assert wilson(1, 1)[1] == 1.0


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 5, 1.0),
        (9, 1, 2 * (1 + 10) / 1024),
        (1, 9, 2 * (1 + 10) / 1024),
        (6, 0, 2 / 64),
        (10, 2, 2 * (1 + 12 + 66) / 4096),
        (3000, 3000, 1.0),
    ],
)
def test_mcnemar(only_first: int, only_second: int, expected: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(expected)


def test_bonett_price() -> None:
    """4 and 0 of 40: 5/42 - 1/42 = 0.09524, and 1.96 · sqrt((6/42 - 0.00907) / 42) = 0.11066."""
    assert bonett_price(4, 0, 40) == pytest.approx((0.09524 - 0.11066, 0.09524 + 0.11066), abs=1e-4)
    assert bonett_price(0, 0, 5) == pytest.approx((-bonett_price(0, 0, 5)[1], bonett_price(0, 0, 5)[1]))


def test_a_share_has_wilsons_interval() -> None:
    found = estimate(METRICS["acc"], shares(*[1] * 8, *[0] * 2))
    assert (found.value, found.low, found.high, found.n) == (0.8, *wilson(8, 10), 10)


def test_a_mean_has_a_bootstraps_interval() -> None:
    """Of 400 values, half 0.2 and half 0.6: the mean's standard error is 0.2 / 20, times 1.96."""
    found = estimate(METRICS["char_f1"], shares(*[0.2] * 200, *[0.6] * 200))
    assert found.value == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx((0.4 - 0.0196, 0.4 + 0.0196), abs=0.0015)
    assert estimate(METRICS["char_f1"], shares(*[0.2] * 200, *[0.6] * 200)) == found


def test_where_all_scores_are_the_same_a_bootstrap_knows_nothing() -> None:
    """0.5 of 4 as if it were a share: 0.5 ± 1.96 / (1 + 3.8415/4) · sqrt(0.25/4 + 3.8415/64) = 0.5 ± 0.34997."""
    for name in ("char_f1", "set_f1"):
        found = estimate(METRICS[name], shares(*[0.5] * 4))
        assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.15003, 0.84997), abs=1e-4)
    zero = estimate(METRICS["set_f1"], shares(0.0, 0.0))
    assert (zero.value, zero.low) == (0.0, 0.0)
    same = paired(METRICS["set_f1"], shares(0.5, 1.0), shares(0.5, 1.0))
    assert (same.difference, same.low, same.high) == (0.0, *bonett_price(0, 0, 2))
    assert zero.high == pytest.approx(3.8415 / 5.8415, abs=1e-4)


def test_perplexity_weighs_tokens() -> None:
    """2 nats a token over 30 tokens and 1 over 10: exp(70 / 40)."""
    found = estimate(METRICS["perplexity"], [(2.0, 30), (1.0, 10)])
    assert found.value == pytest.approx(math.exp(1.75))
    assert math.e - 1e-9 <= found.low <= found.value <= found.high <= math.exp(2) + 1e-9


def test_two_models() -> None:
    first, second = shares(*[1] * 14, *[0] * 6), shares(*[1] * 8, *[0] * 6, *[1] * 1, *[0] * 5)
    found = paired(METRICS["acc"], first, second)
    assert found.difference == pytest.approx(0.7 - 0.45)
    assert (found.only_first, found.only_second, found.n) == (6, 1, 20)
    assert found.p_value == pytest.approx(2 * (1 + 7) / 128)
    assert (found.low, found.high) == bonett_price(6, 1, 20)
    backwards = paired(METRICS["acc"], second, first)
    assert backwards.difference == -found.difference
    assert (backwards.low, backwards.high) == pytest.approx((-found.high, -found.low))


def test_a_model_does_not_differ_from_itself() -> None:
    same = [(2.0, 30.0), (1.0, 10.0), (3.0, 5.0)]
    found = paired(METRICS["perplexity"], same, same)
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, None)
