"""The statements with and without a place are sound, and their benchmark measures what it says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import citations
from benchmarks.citations import (
    HELD_PATH,
    MIN_SHARED_CHARS,
    STATEMENTS_PATH,
    TEXTS_DIR,
    Cited,
    Statement,
    shares_run,
    statements,
)
from benchmarks.retrieval_set import even


def test_the_quotes_of_true_statements_stand_in_their_text_once() -> None:
    for entry in (*statements(), *statements(HELD_PATH)):
        assert (entry.quote is not None) == entry.is_true, entry
        if entry.quote is not None:
            text = even((TEXTS_DIR / entry.text).read_text(encoding="utf-8"))
            assert text.count(even(entry.quote)) == 1, entry
            assert len(even(entry.quote)) >= MIN_SHARED_CHARS, entry
            assert not shares_run(entry.statement, entry.quote, len(entry.statement)), "in the text's own words"


@pytest.mark.parametrize(("path", "counts"), [(STATEMENTS_PATH, (26, 14)), (HELD_PATH, (10, 10))])
def test_there_are_as_many_false_statements_as_true_ones_in_each_language(path: Path, counts: tuple[int, int]) -> None:
    asked = statements(path)
    assert Counter((entry.language, entry.is_true) for entry in asked) == {
        (language, is_true): n for language, n in zip(("en", "ja"), counts, strict=True) for is_true in (True, False)
    }


def test_no_statement_stands_in_both_sets_or_twice() -> None:
    asked = [entry.statement for path in (STATEMENTS_PATH, HELD_PATH) for entry in statements(path)]
    assert len(set(asked)) == len(asked)


def test_quotes_share_a_run_wherever_lines_break() -> None:
    assert shares_run("the whale wears\na false brow", "whale wears a false brow to the world")
    assert not shares_run("the whale wears a hat", "one whale wears a brow", 17)
    assert shares_run("the whale wears a hat", "one whale wears a brow", len("e whale wears a "))
    assert not shares_run("short", "short")


@pytest.mark.parametrize(
    ("quote", "cited", "outcome"),
    [
        ("a red moon rose over the sea", ["it was seen that a red moon rose"], "right"),
        ("a red moon rose over the sea", ["nothing of it", "a red moon rose over"], "right"),
        ("a red moon rose over the sea", ["the sea was calm all the night"], "elsewhere"),
        ("a red moon rose over the sea", [], "uncited"),
        (None, ["a red moon rose over the sea"], "wrongly_cited"),
        (None, [], "rightly_uncited"),
    ],
)
def test_an_outcome_is_told_by_the_quotes(quote: str | None, cited: list[str], outcome: str) -> None:
    statement = Statement("a.txt", "The moon was red.", quote is not None, quote)
    assert Cited(statement, tuple(cited)).outcome == outcome


def test_a_text_is_read_and_its_statements_are_cited(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The pump holds nine litres of oil.\n\nThe valve is made of brass.\n")
    asked = [
        Statement("a.txt", "Nine litres of oil fit into the pump.", True, "The pump holds nine litres of oil"),
        Statement("a.txt", "Dolphins sing at dawn near Lisbon.", False),
    ]
    cited = list(citations.cite(asked, tmp_path))
    assert [entry.outcome for entry in cited] == ["right", "rightly_uncited"]
    row = {"n_true": 1, "right": 1, "elsewhere": 0, "uncited": 0, "n_false": 1, "wrongly_cited": 0}
    assert citations.counts(cited) == {"en": row, "all": row}


def test_true_statements_are_cited_rightly_more_often_than_false_ones_are_cited(
    capsys: pytest.CaptureFixture[str],
) -> None:
    citations.main(["--json"])
    for name, n in json.loads(capsys.readouterr().out)["counts"].items():
        assert n["right"] + n["elsewhere"] + n["uncited"] == n["n_true"]
        assert n["right"] / n["n_true"] > n["wrongly_cited"] / n["n_false"], name


def test_each_miss_is_printed_with_what_was_expected_and_cited() -> None:
    missed = Statement("a.txt", "The moon was red.", True, "a red moon rose over the sea")
    right = Statement("a.txt", "The sun was red.", False)
    lines = citations.misses([Cited(missed, ("the sea\nwas calm",)), Cited(right, ())])
    assert lines[0].startswith("elsewhere: a.txt: The moon was red.")
    assert "a red moon rose over the sea" in lines[1]
    assert "the sea was calm" in lines[2]
    assert len(lines) == 3
