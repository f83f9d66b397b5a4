"""Runs: what is asked, what is kept of a run that was ended, and what makes another run of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import DocumentError, GenerationError
from edgeai.evaluation import run as run_module
from edgeai.evaluation.run import ModelRun, Run
from edgeai.evaluation.tasks import Plan, make_plan
from edgeai.model_files import model_digest
from edgeai.notes.journal import jobs_dir
from edgeai.session import Session
from tests.evaluation import files
from tests.evaluation.scorers import FakeScorer, knows
from tests.fakes import FakeBackend


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_AT_ONCE", {"letter": 2, "answer": 2, "text": 2, "writing": 1})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return files.mmlu(tmp_path / "data")


def asked(backend: FakeBackend, plan: Plan, **options: Any) -> ModelRun:
    with Session(backend=backend) as session, Run(session, plan, options) as run:
        return run.go(lambda _: None)


def test_letters_are_scored_after_shared_examples(data: Path) -> None:
    backend = FakeScorer(knows("B"))
    result = asked(backend, make_plan("mmlu", data, few_shot=2))
    assert [len(request.items) for request in backend.asked] == [2, 1, 2]
    first, again, other = (backend.detokenize(request.prefix) for request in backend.asked)
    assert first.startswith("The following are multiple choice questions (with answers) about anatomy.")
    assert first.endswith("D. the spleen\nAnswer: C\n\n")
    assert again == first[: len(again)]
    assert other.count("Answer:") == 1  # religions have a single example
    outcomes = [outcome.log_probs for outcome in result.subjects[0].outcomes]
    assert outcomes == [(-3.0, -0.5, -3.0, -3.0)] * 3
    assert [subject.n_examples for subject in result.subjects] == [2, 1]


def test_a_run_goes_on_where_it_was_ended(data: Path) -> None:
    plan = make_plan("mmlu", data, few_shot=0)
    backend = FakeScorer(knows("A"))
    backend.fails_at = 2
    with pytest.raises(GenerationError, match="the power is gone"):
        asked(backend, plan)
    after = FakeScorer(knows("A"))
    seen = []
    with Session(backend=after) as session, Run(session, plan, {}) as run:
        assert (run.n_found, run.n_kept) == (3, 3)
        result = run.go(lambda progress: seen.append((progress.n_done, progress.n_total, progress.n_found)))
        assert run.n_kept == 5
        run.finish()
    assert len(after.asked) == 1
    assert seen == [(2, 5, 3), (3, 5, 3), (4, 5, 3), (5, 5, 3), (5, 5, 3)]
    whole = asked(FakeScorer(knows("A")), plan)
    assert result == whole


def test_a_batch_that_was_half_written_is_asked_again(data: Path) -> None:
    plan = make_plan("mmlu", data, few_shot=0)
    whole = asked(FakeScorer(knows("A")), plan)
    (journal,) = jobs_dir().glob("*/steps.jsonl")
    journal.write_bytes(journal.read_bytes()[:-20])
    again = FakeScorer(knows("A"))
    assert asked(again, plan) == whole
    assert len(again.asked) == 1


def test_ctrl_c_keeps_what_is_done(data: Path) -> None:
    class Interrupted(FakeScorer):
        def score(self, request: Any) -> Iterator[Any]:
            if len(self.asked) == 1:
                raise KeyboardInterrupt
            yield from super().score(request)

    plan = make_plan("mmlu", data, few_shot=0)
    with pytest.raises(KeyboardInterrupt):
        asked(Interrupted(), plan)
    after = FakeScorer()
    asked(after, plan)
    assert [len(request.items) for request in after.asked] == [1, 2]


def test_what_makes_another_run(data: Path) -> None:
    asked(FakeScorer(), make_plan("mmlu", data, few_shot=0))
    for plan, options in (
        (make_plan("mmlu", data, few_shot=1), {}),
        (make_plan("mmlu", data, few_shot=0, by="answer"), {}),
        (make_plan("mmlu", data, few_shot=0, limit=2), {}),
        (make_plan("mmlu", data, few_shot=0), {"type_k": "q8_0"}),
    ):
        other = FakeScorer()
        asked(other, plan, **options)
        assert other.asked, plan
    same = FakeScorer()
    asked(same, make_plan("mmlu", data, few_shot=0), n_threads=3)
    assert not same.asked
    file = data / "test" / "anatomy_test.csv"
    file.write_text(file.read_text().replace("femur", "thigh bone"))
    changed = FakeScorer()
    asked(changed, make_plan("mmlu", data, few_shot=0))
    assert len(changed.asked) == 3


def test_a_run_that_did_nothing_leaves_nothing(data: Path) -> None:
    backend = FakeScorer()
    backend.fails_at = 0
    with pytest.raises(GenerationError):
        asked(backend, make_plan("mmlu", data))
    assert list(jobs_dir().iterdir()) == []


def test_the_same_run_twice_at_once(data: Path) -> None:
    plan = make_plan("mmlu", data)
    with (
        Session(backend=FakeScorer()) as session,
        Run(session, plan, {}),
        pytest.raises(DocumentError, match="another process"),
    ):
        Run(session, plan, {})


def test_fewer_examples_where_the_window_is_short(data: Path) -> None:
    plan = make_plan("mmlu", data, few_shot=2)
    backend = FakeScorer(n_ctx=330)
    result = asked(backend, plan)
    assert [subject.n_examples for subject in result.subjects] == [1, 1]
    assert not [outcome.error for subject in result.subjects for outcome in subject.outcomes if outcome.error]


def test_a_question_that_is_too_long_is_left_out_and_the_rest_goes_on(data: Path) -> None:
    file = data / "test" / "anatomy_test.csv"
    file.write_text("Why" + "y" * 5000 + "?,a,b,c,d,A\n" + file.read_text())
    backend = FakeScorer()
    result = asked(backend, make_plan("mmlu", data, few_shot=2))
    first, *rest = result.subjects[0].outcomes
    assert "tokens, and the window holds 4,096" in first.error
    assert [outcome.error for outcome in rest] == ["", "", ""]
    assert result.subjects[0].n_examples == 2


def test_answers_are_written_without_chance(tmp_path: Path) -> None:
    backend = FakeScorer().enqueue("パリ", "Berlin", "5", "3 apples")
    result = asked(backend, make_plan("jaster", files.jaster(tmp_path), few_shot=1))
    texts = [outcome.text for subject in result.subjects for outcome in subject.outcomes]
    assert texts == ["パリ", "Berlin", "5", "3 apples"]
    sampling = [request.sampling for request in backend.requests]
    assert {(each.temperature, each.repeat_penalty) for each in sampling} == {(0.0, 1.0)}
    assert [each.max_tokens for each in sampling] == [12, 12, 4, 4]


def test_a_text(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("word " * 500)
    backend = FakeScorer(lambda _before, text: -2.0 * len(text))
    (subject,) = asked(backend, make_plan("perplexity", tmp_path / "text.txt")).subjects
    assert sum(outcome.n_tokens[0] for outcome in subject.outcomes) == 2500
    assert all(outcome.log_probs[0] == -2.0 * outcome.n_tokens[0] for outcome in subject.outcomes)


def test_what_cannot_be_is_very_unlikely_but_a_number(data: Path) -> None:
    result = asked(FakeScorer(lambda _before, _text: float("-inf")), make_plan("mmlu", data))
    assert result.subjects[0].outcomes[0].log_probs == (-2000.0,) * 4


def test_the_checksum_of_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"1")
    (folder / "parts" / "b.bin").write_bytes(b"2")
    first = model_digest(folder)
    (folder / "parts" / "b.bin").rename(folder / "parts" / "c.bin")
    assert len(first) == 64
    assert model_digest(folder) != first
    assert model_digest(folder / "a.bin").startswith("6b86b273ff34fce1")
    assert model_digest(tmp_path / "missing") == ""
