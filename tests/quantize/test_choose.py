"""Which of several measured artifacts is taken."""

from __future__ import annotations

import pytest

from edgeai.errors import QuantizeError
from quantize.choose import Preference, choose
from tests.quantize.reports import made_up

GOOD = made_up("Q8_0", megabytes=145, kld=0.001, decode_tokens_per_s=70)
MIDDLE = made_up("Q4_K_M", megabytes=105, kld=0.02, decode_tokens_per_s=90)
FAST = made_up("IQ4_NL", megabytes=92, kld=0.06, decode_tokens_per_s=100)
SMALL = made_up("Q4_0", megabytes=90, kld=0.09, decode_tokens_per_s=99)
ALL = [GOOD, MIDDLE, FAST, SMALL]


@pytest.mark.parametrize(
    ("prefer", "expected"), [("quality", GOOD), ("size", SMALL), ("speed", FAST), ("balance", MIDDLE)]
)
def test_what_is_preferred_is_taken(prefer: Preference, expected: object) -> None:
    best, why = choose(ALL, prefer)
    assert best is expected
    assert why


def test_of_equally_fast_ones_the_better_is_taken() -> None:
    as_fast = made_up("Q4_1", megabytes=98, kld=0.03, decode_tokens_per_s=98)
    assert choose([*ALL, as_fast], "speed")[0] is as_fast


def test_a_divergence_that_is_too_large_does_not_come_into_question() -> None:
    assert choose(ALL, "size", max_kld=0.05)[0] is MIDDLE
    with pytest.raises(QuantizeError, match=r"--max-kld 0\.0001: .* Q8_0 with 0\.0010"):
        choose(ALL, "size", max_kld=0.0001)


def test_one_that_another_beats_is_never_the_balance() -> None:
    beaten = made_up("Q5_0", megabytes=106, kld=0.021, decode_tokens_per_s=89)
    assert choose([*ALL, beaten], "balance")[0] is MIDDLE


def test_a_front_of_two_is_balanced_by_all() -> None:
    """What a checkpoint that was Q4_1 once gave here: that one beats all but the fastest, and loses next to nothing."""
    almost_exact = made_up("Q4_1", megabytes=98, kld=0.0043, decode_tokens_per_s=97)
    fastest = made_up("IQ4_XS", megabytes=91, kld=0.23, decode_tokens_per_s=124)
    others = [
        made_up("Q8_0", megabytes=145, kld=0.0064, decode_tokens_per_s=76),
        made_up("Q4_0", megabytes=92, kld=0.36, decode_tokens_per_s=106),
    ]
    assert choose([*others, fastest, almost_exact], "balance")[0] is almost_exact


def test_one_alone_is_the_best() -> None:
    assert choose([FAST], "balance")[0] is FAST
