"""Scores of single questions, worked out by hand or by the libraries that the benchmarks use."""

from __future__ import annotations

import random

import pytest
from rapidfuzz import fuzz, utils

from edgeai.evaluation.metrics import char_f1, exact_match, number, scores, set_f1, tidy
from edgeai.evaluation.types import Choice, Exercise, Outcome, Passage

QUESTION = Choice(1, "?", ("yes", "certainly not", "富士山"), 1, ("A", "B", "C"))


def test_the_likeliest_letter() -> None:
    found = scores(QUESTION, Outcome((-2.0, -1.0, -3.0), (1, 1, 1)), "letter", ())
    assert found == {"acc": (1.0, 1.0)}


def test_the_likeliest_answer_as_a_whole_by_character_and_by_byte() -> None:
    """-6 / 3 = -2, -19.5 / 13 = -1.5, -4 / 3 = -1.33 by characters; -4 / 9 = -0.44 by bytes."""
    found = scores(QUESTION, Outcome((-6.0, -19.5, -4.0), (1, 2, 3)), "answer", ())
    assert found == {"acc": (0.0, 1.0), "acc_norm": (0.0, 1.0), "acc_bytes": (0.0, 1.0)}
    found = scores(QUESTION, Outcome((-6.0, -19.5, -18.0), (1, 2, 3)), "answer", ())  # -6 by characters, -2 by bytes
    assert found == {"acc": (0.0, 1.0), "acc_norm": (1.0, 1.0), "acc_bytes": (1.0, 1.0)}


def test_of_equals_the_first_is_chosen_as_argmax_does() -> None:
    assert scores(QUESTION, Outcome((-1.0, -1.0, -1.0), (1, 1, 1)), "letter", ())["acc"] == (0.0, 1.0)


def test_a_passage() -> None:
    """8 tokens, 10 bytes, 16 nats: 2 nats a token, and 16 / ln 2 / 10 = 2.308 bits a byte."""
    found = scores(Passage(1, "0123456789"), Outcome((-16.0,), (8,)), "text", ())
    assert found["perplexity"] == (2.0, 8)
    assert found["bits_per_byte"] == pytest.approx((2.3083, 10), abs=1e-4)


def test_nothing_where_there_is_an_error() -> None:
    assert scores(QUESTION, Outcome(error="too long"), "letter", ()) == {}


@pytest.mark.parametrize(
    ("written", "right", "same"),
    [
        ("ＡＢＣ", "ABC", True),
        (" 5\n\nand more", "5", True),
        ('"Berlin"', "Berlin", True),
        ("①", "1", True),
        ("Berlin.", "Berlin", False),
        ("berlin", "Berlin", False),
        ("", "5", False),
    ],
)
def test_exact_match(written: str, right: str, same: bool) -> None:
    found = scores(Exercise(1, "?", right), Outcome(text=written), "writing", ("exact_match",))
    assert found == {"exact_match": (float(same), 1.0)}
    assert exact_match(written, right) == float(same)


@pytest.mark.parametrize(
    ("written", "right", "expected"),
    [
        ("パリ", "パリ", 1.0),
        ("パリ市", "パリ", 0.8),  # 2 · 2 / (3 + 2)
        ("大阪", "東京", 0.0),
        ("the cat sat", "sat the cat", 1.0),
        ("New York!", "new-york", 1.0),
        ("", "東京", 0.0),
        ("。", "！", 1.0),  # nothing is left of either: fuzzywuzzy calls equals equal
        ("abc", "abcd", 0.86),  # 6 / 7, in whole percents
    ],
)
def test_char_f1(written: str, right: str, expected: float) -> None:
    assert char_f1(written, right) == expected


def test_char_f1_is_the_token_sort_ratio() -> None:
    rng = random.Random(7)
    for _ in range(300):
        one, other = (
            "".join(rng.choice("abc ABC東京都の、。12 ") for _ in range(rng.randrange(1, 24))) for _ in range(2)
        )
        theirs = fuzz.token_sort_ratio(tidy(one), tidy(other), processor=utils.default_process)
        assert char_f1(one, other) == pytest.approx(theirs / 100, abs=0.00501)


def test_set_f1() -> None:
    """Two of three written lines are right, and two of four expected ones found: 2 · 2/3 · 1/2 / (2/3 + 1/2)."""
    assert set_f1("a\nb\nx", "a\nb\nc\nd") == pytest.approx(4 / 7)
    assert set_f1("x", "a") == 0.0


def test_a_line_that_is_written_again_counts_once() -> None:
    """One of two different lines is right, and one of one found: 2 · 1/2 · 1 / (1/2 + 1)."""
    assert set_f1("a\na\na\nb", "a") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("3.5", 3.5),
        ("４．２です", 4.2),  # NFKC
        ("類似度: 3", 3.0),
        ("-1", 1.0),  # llm-jp-eval leaves the sign out
        ("3.", 3.0),
        ("1, 2", 12.0),
        ("3.5.", -2.0),
        ("", -2.0),
        ("五", -2.0),
        ("nan", -2.0),
        ("9" * 400, -2.0),
    ],
)
def test_the_number_in_an_answer(written: str, expected: float) -> None:
    assert number(written) == expected
    found = scores(Exercise(1, "?", "2.5"), Outcome(text=written), "writing", ("pearson", "spearman"))
    assert found == {"pearson": (expected, 2.5), "spearman": (expected, 2.5)}
