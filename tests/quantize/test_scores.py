from __future__ import annotations

import math

import numpy as np
import pytest

from quantize import scores
from quantize.base import F32
from quantize.scores import F64


def softmax64(logits: F32) -> F64:
    exact = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    result: F64 = exact / exact.sum(axis=1, keepdims=True)
    return result


@pytest.fixture
def logits() -> F32:
    return np.random.default_rng(1).normal(0, 3, (40, 500)).astype(np.float32)


def test_nll_is_minus_log_of_the_softmax(logits: F32) -> None:
    tokens = np.arange(40, dtype=np.int32) * 7
    expected = -np.log(softmax64(logits)[np.arange(40), tokens])
    np.testing.assert_allclose(scores.nll(logits, tokens), expected, rtol=1e-5)


def test_the_divergence_is_that_of_the_definition(logits: F32) -> None:
    candidate = logits + np.random.default_rng(2).normal(0, 0.3, logits.shape).astype(np.float32)
    tokens = np.arange(40, dtype=np.int32)
    measured = scores.compare(candidate, logits, tokens)
    p, q = softmax64(logits), softmax64(candidate)
    np.testing.assert_allclose(measured.kld, (p * np.log(p / q)).sum(axis=1), rtol=0.01)
    np.testing.assert_array_equal(measured.same_top, p.argmax(axis=1) == q.argmax(axis=1))
    np.testing.assert_allclose(measured.reference_nll, -np.log(p[tokens, tokens]), atol=2 * 16 / 65535)
    np.testing.assert_allclose(measured.nll, -np.log(q[tokens, tokens]), rtol=1e-5)


def test_a_tail_below_16_nats_counts_for_nothing() -> None:
    reference = np.array([[0, -50, -60]], dtype=np.float32)
    measured = scores.compare(np.array([[0, -90, -1]], dtype=np.float32), reference, np.array([1], dtype=np.int32))
    assert measured.kld[0] == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-4)
    assert measured.reference_nll[0] == pytest.approx(16, abs=1e-4)


def test_equal_logits_diverge_by_nothing() -> None:
    flat = np.zeros((2, 8), dtype=np.float32)
    measured = scores.compare(flat, flat, np.array([0, 3], dtype=np.int32))
    np.testing.assert_allclose(measured.kld, 0, atol=1e-6)
    assert measured.same_top.all()


def test_a_mean_has_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(3).normal(5, 2, 1000)
    estimate = scores.mean(values)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.error == pytest.approx(values.std(ddof=1) / math.sqrt(1000), rel=1e-3)


def test_ten_tokens_tell_no_error() -> None:
    assert scores.mean(np.arange(10, dtype=np.float64)) == scores.Estimate(4.5, 0.0)


def test_perplexity_is_that_of_equal_guesses() -> None:
    estimate = scores.perplexity(np.full(100, math.log(32)))
    assert estimate.value == pytest.approx(32)
    assert estimate.error == pytest.approx(0, abs=1e-5)


def test_a_share_has_the_error_of_the_binomial() -> None:
    assert scores.share(np.array([True] * 3 + [False])) == scores.Estimate(0.75, math.sqrt(0.75 * 0.25 / 3))
