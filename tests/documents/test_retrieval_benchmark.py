"""The question set is sound, and its benchmark measures what it says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import retrieval
from benchmarks.retrieval_set import SET_DIR, Question, even, holds, questions, reciprocal_rank, texts
from benchmarks.retrieval_vectors import RememberingEmbedder
from edgeai.documents.vectors import F32


class LetterEmbedder:
    """How often each letter stands in a text; counts the texts that it was given."""

    name = "letters"
    dimension = 26

    def __init__(self) -> None:
        self.n_texts = 0

    def embed_query(self, texts: Sequence[str]) -> F32:
        return self.embed_passages(texts)

    def embed_passages(self, texts: Sequence[str]) -> F32:
        self.n_texts += len(texts)
        counts = [Counter(text.lower()) for text in texts]
        return np.array(
            [[1 + count[letter] for letter in "abcdefghijklmnopqrstuvwxyz"] for count in counts], np.float32
        )


def test_every_quote_stands_in_its_text_once_and_in_no_other() -> None:
    held = {path.name: even(path.read_text(encoding="utf-8")) for path in texts()}
    for question in questions():
        if question.quote is not None:
            found = {name: text.count(even(question.quote)) for name, text in held.items()}
            assert {name: n for name, n in found.items() if n} == {question.text: 1}, question.id


def test_the_set_is_as_large_as_it_says_and_halved() -> None:
    asked = questions()
    assert len({question.id for question in asked}) == len(asked)
    groups = Counter(question.group for question in asked)
    assert groups["en"] >= 120
    assert groups["ja"] >= 60
    assert groups["none"] >= 40
    for group, n in groups.items():
        n_tune = sum(question.split == "tune" for question in asked if question.group == group)
        assert abs(n - 2 * n_tune) <= 2, group
    assert all((question.quote is None) == (question.group == "none") for question in asked)
    for split in ("tune", "held"):
        without = [q.language for q in asked if q.group == "none" and q.split == split]
        assert without.count("en") == without.count("ja")


def test_the_texts_hold_no_marks_of_who_typed_them() -> None:
    for path in texts():
        text = path.read_text(encoding="utf-8")
        assert not any(mark in text for mark in ("《ぼ", "［＃", "Project Gutenberg", "底本：")), path.name
    assert sum(path.stat().st_size for path in SET_DIR.rglob("*") if path.is_file()) < 2_500_000


@pytest.mark.parametrize(
    ("passage", "found"),
    [
        ("He said: the red\n  button opens the door.", True),
        ("button opens the door. And so on.", True),  # the larger part of it
        ("And so on: the red", False),  # the smaller part
        ("The button is red.", False),
    ],
)
def test_a_passage_holds_a_quote_or_the_larger_part(passage: str, found: bool) -> None:
    assert holds(passage, "the red button opens the door") is found


def test_a_rank_is_that_of_the_first_passage_that_answers() -> None:
    assert reciprocal_rank(["no", "the key", "the key"], "the key") == 1 / 2
    assert reciprocal_rank(["no"], "the key") == 0


def small_set(folder: Path) -> Path:
    """Two texts, of which one answers, and for each half one question with an answer and one without."""
    (folder / "texts").mkdir(parents=True)
    (folder / "texts" / "pump.txt").write_text("To reset the pump, hold the red button for ten seconds.\n")
    (folder / "texts" / "cake.txt").write_text("A cake of apples is baked for an hour. It likes sugar.\n")
    asked = [Question(f"{group}-{n}", "en", "How is the pump reset?", "pump.txt", "hold the red button")
             for group in ("en", "ja", "cross") for n in (1, 2)]  # fmt: skip
    asked += [Question(f"none-{n}-en", "en", "Who won the football cup?") for n in (1, 2)]
    lines = [{name: getattr(q, name) for name in Question.__dataclass_fields__} for q in asked]
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_it_measures_words_vectors_and_both(tmp_path: Path) -> None:
    folder = small_set(tmp_path / "set")
    results = retrieval.measure(tmp_path / "work", LetterEmbedder(), folder, tell=lambda line: None)
    for split in ("tune", "held"):
        assert set(results[split]["quality"]["en + ja"]) == {"words", "vectors", "hybrid"}
        assert results[split]["quality"]["en + ja"]["words"] == {"n": 2, "recall@1": 1, "recall@5": 1, "mrr@10": 1}
        assert results[split]["quality"]["en"]["vectors"]["recall@5"] == 1  # there are two passages
        assert results[split]["refusals"]["words"] == {"wrongly_refused": 0, "recognised": 1}
    lines = retrieval.table(results)
    assert sum(line.startswith("tune") for line in lines) == 4 * 3 + 2


def test_it_measures_words_alone(tmp_path: Path) -> None:
    results = retrieval.measure(tmp_path / "work", None, small_set(tmp_path / "set"))
    assert set(results["held"]["quality"]["en"]) == set(results["held"]["refusals"]) == {"words"}


def test_a_vector_is_computed_once(tmp_path: Path) -> None:
    inner = LetterEmbedder()
    first = RememberingEmbedder(inner, tmp_path / "vectors").embed_passages(["a", "bb", "a"])
    again = RememberingEmbedder(inner, tmp_path / "vectors").embed_passages(["bb", "a", "c"])
    assert inner.n_texts == 3
    assert np.array_equal(first, LetterEmbedder().embed_passages(["a", "bb", "a"]))
    assert np.array_equal(again, LetterEmbedder().embed_passages(["bb", "a", "c"]))
    assert RememberingEmbedder(inner, tmp_path / "vectors").embed_query(["a"]).shape == (1, 26)
    assert inner.n_texts == 4  # a question is not a passage
