"""Log-likelihoods of a float model, against what transformers finds for the same texts; see make_oracle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeai.evaluation import run as run_module
from edgeai.evaluation.asking import Asker
from edgeai.evaluation.run import ModelRun, Run
from edgeai.evaluation.tasks import Plan, make_plan
from edgeai.session import Session
from tests.evaluation import files
from tests.fakes import CHATML
from tests.tiny import tiny_model

ORACLE = json.loads((Path(__file__).parent / "oracle.json").read_text(encoding="utf-8"))
TEXT = "The one thing that all of them said: and then the water fell.\nNobody had seen it, in the end. 水が落ちた。"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    path = tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf", n_ctx_train=1024)
    with Session(path, n_ctx=1024, type_k="f32", type_v="f32", isolation="none", chat_template=CHATML) as made:
        yield made


def asked(session: Session, plan: Plan) -> ModelRun:
    with Run(session, plan, {}) as run:
        return run.go(lambda _: None)


def check(run: ModelRun, theirs: list[dict[str, Any]]) -> None:
    outcomes = run.subjects[0].outcomes
    assert [list(outcome.n_tokens) for outcome in outcomes] == [each["n_tokens"] for each in theirs]
    for outcome, each in zip(outcomes, theirs, strict=True):
        assert outcome.log_probs == pytest.approx(each["log_probs"], abs=1e-3)


def test_letters_after_examples(session: Session, tmp_path: Path) -> None:
    files.write_csv(tmp_path / "anatomy_dev.csv", files.ANATOMY_DEV)
    path = files.write_csv(tmp_path / "anatomy_test.csv", files.ANATOMY)
    check(asked(session, make_plan("mmlu", path, few_shot=2)), ORACLE["mmlu"])


def test_whole_answers(session: Session, tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "arc.jsonl", files.ARC)
    check(asked(session, make_plan("arc", path)), ORACLE["arc"])


def test_endings(session: Session, tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "hellaswag_val.jsonl", files.HELLASWAG)
    check(asked(session, make_plan("hellaswag", path)), ORACLE["hellaswag"])


def test_a_text(session: Session, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    (outcome,) = asked(session, make_plan("perplexity", tmp_path / "text.txt")).subjects[0].outcomes
    assert outcome.n_tokens == (ORACLE["text"]["n_tokens"],)
    assert outcome.log_probs == pytest.approx([ORACLE["text"]["log_prob"]], rel=1e-4)


@pytest.mark.parametrize("chat", [False, True])
def test_the_examples_of_a_subject_are_evaluated_once(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: bool
) -> None:
    monkeypatch.setattr(run_module, "_AT_ONCE", {"letter": 1})
    data = files.mmlu(tmp_path)
    plan = make_plan("mmlu", data, few_shot=2, chat=chat)
    prepared = [Asker(session, plan).prepared(subject) for subject in plan.subjects]
    n_examples = [len(each.prompts.tokenize(each.prompts.beginning(each.n_examples))) for each in prepared]
    assert [each.n_examples for each in prepared] == [2, 1]
    before = session.scoring.evaluated.n_prefix
    run = asked(session, plan)
    assert [len(each.outcomes) for each in run.subjects] == [3, 2]
    assert 0.9 * sum(n_examples) < session.scoring.evaluated.n_prefix - before <= sum(n_examples)
