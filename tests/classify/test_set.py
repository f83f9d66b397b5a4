"""The labelled set of benchmarks/classify.py."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

SET = Path(__file__).parents[2] / "benchmarks" / "data" / "classify.jsonl"


def test_the_set_has_texts_in_both_languages_and_examples_that_are_not_among_them() -> None:
    rows = [json.loads(line) for line in SET.read_text(encoding="utf-8").splitlines()]
    tested = [row for row in rows if row["use"] == "test"]
    assert len(tested) >= 150
    assert min(Counter((row["task"], row["language"]) for row in tested).values()) >= 24
    assert len({row["text"] for row in rows}) == len(rows)
    for task in {row["task"] for row in rows}:
        examples = [row for row in rows if row["task"] == task and row["use"] == "example"]
        assert {row["label"] for row in examples} == {row["label"] for row in tested if row["task"] == task}
        assert len(examples) >= 8, "enough to decide on calibration"
