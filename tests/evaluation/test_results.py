"""Figures of whole runs, recomputed by hand from what the models are known to say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from edgeai.chart import check_chart
from edgeai.errors import GenerationError, OptionError
from edgeai.evaluation.intervals import wilson
from edgeai.evaluation.picture import draw
from edgeai.evaluation.results import ALL, Results, as_json, make_results
from edgeai.evaluation.run import Run
from edgeai.evaluation.tasks import Plan, make_plan
from edgeai.session import Session
from tests.evaluation import files
from tests.evaluation.scorers import FakeScorer, Rate, knows


def results_of(plan: Plan, *rates: Rate) -> Results:
    runs = []
    for number, rate in enumerate(rates):
        with Session(backend=FakeScorer(rate)) as session, Run(session, plan, {"seed": number}) as run:
            runs.append(run.go(lambda _: None))
    return make_results(plan, runs)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan("mmlu", files.mmlu(tmp_path / "data"), few_shot=1)


def test_rows_by_subject_and_over_all(plan: Plan) -> None:
    """Right answers: A, B, D and A, C; the model says A always."""
    (rows,) = results_of(plan, knows("A")).rows
    assert [(row.subject, row.n_questions, row.n_failed) for row in rows] == [
        ("anatomy", 3, 0),
        ("world_religions", 2, 0),
        (ALL, 5, 0),
    ]
    figures = [row.metrics["acc"] for row in rows]
    assert [each.value for each in figures] == [pytest.approx(1 / 3), 0.5, 0.4]
    assert (figures[2].low, figures[2].high) == wilson(2, 5)


def test_two_models_question_by_question(plan: Plan) -> None:
    """The first says A: right, wrong, wrong, right, wrong; the second B: wrong, right, wrong, wrong, wrong."""
    results = results_of(plan, knows("A"), knows("B"))
    assert [each["acc"].difference for each in results.differences] == pytest.approx([0.0, 0.5, 0.2])
    over_all = results.differences[-1]["acc"]
    assert (over_all.only_first, over_all.only_second) == (2, 1)
    assert over_all.p_value == pytest.approx(min(1.0, 2 * (1 + 3) / 8))


def test_answers_as_a_whole(tmp_path: Path) -> None:
    """-1 - n for " " and n - 1 letters: the shortest is the likeliest, by character the longest.

    "ice" of 3, 21 and 4 letters is right and the shortest; of "the Sun" (7), "the Moon" (8), "the planet Mars" (15) and
    "Ceres and the other ones" (24) neither the shortest nor the longest is right.
    """
    path = files.write_lines(tmp_path / "arc.jsonl", files.ARC)
    (rows,) = results_of(make_plan("arc", path), lambda _before, text: -1.0 - len(text)).rows
    (row,) = rows
    assert {name: found.value for name, found in row.metrics.items()} == {"acc": 0.5, "acc_norm": 0.0, "acc_bytes": 0.0}


def test_a_text_has_perplexity_and_bits(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("wörd " * 400, encoding="utf-8")
    results = results_of(
        make_plan("perplexity", tmp_path / "t.txt"),
        lambda _before, text: -2.0 * len(text),
        lambda _before, text: -1.0 * len(text),
    )
    first, second = (rows[0].metrics for rows in results.rows)
    assert first["perplexity"].value == pytest.approx(math.exp(2))
    assert second["bits_per_byte"].value == pytest.approx(5 / 6 / math.log(2))
    assert results.differences[0]["perplexity"].difference == pytest.approx(math.exp(2) - math.e)
    assert results.differences[0]["perplexity"].p_value is None


def test_metrics_of_written_answers_differ_by_file(tmp_path: Path) -> None:
    plan = make_plan("jaster", files.jaster(tmp_path), few_shot=1)
    backend = FakeScorer().enqueue("パリ", "ベル", "5", "3 apples")
    with Session(backend=backend) as session, Run(session, plan, {}) as run:
        results = make_results(plan, [run.go(lambda _: None)])
    rows = {row.subject: {name: found.value for name, found in row.metrics.items()} for row in results.rows[0]}
    assert rows["jemhopqa"] == {"char_f1": pytest.approx((1 + 0.67) / 2)}  # 2 · 2 / (2 + 4), in whole percents
    assert rows["mawps"] == {"exact_match": 0.5}
    assert rows[ALL] == {"exact_match": 0.5, "char_f1": pytest.approx(0.835)}


def test_questions_that_failed_count_for_nothing(tmp_path: Path) -> None:
    data = files.mmlu(tmp_path)
    file = data / "test" / "anatomy_test.csv"
    file.write_text("Why" + "y" * 5000 + "?,a,b,c,d,A\n" + file.read_text())
    (rows,) = results_of(make_plan("mmlu", data, few_shot=0), knows("A")).rows
    assert (rows[0].n_questions, rows[0].n_failed, rows[0].metrics["acc"].n) == (4, 1, 3)
    assert rows[-1].metrics["acc"].value == 0.4


def test_a_model_that_could_not_be_asked_anything(tmp_path: Path) -> None:
    plan = make_plan("mmlu", files.mmlu(tmp_path))
    with Session(backend=FakeScorer(n_ctx=40)) as session, Run(session, plan, {}) as run:
        result = run.go(lambda _: None)
    with pytest.raises(GenerationError, match=r"Fake: no question could be asked: the first has 1.. tokens, and"):
        make_results(plan, [result])


def test_all_of_it_as_json(plan: Plan) -> None:
    results = results_of(plan, knows("A"), knows("B"))
    data = json.loads(json.dumps(as_json(results, with_questions=True), allow_nan=False))
    assert (data["task"], data["by"], data["few_shot"], data["limit"]) == ("mmlu", "letter", 1, None)
    assert data["templates"][0]["question"] == "{text}\n{choices}\nAnswer:"
    assert all(len(digest) == 64 for digest in data["data"].values())
    assert data["models"][0]["results"][0]["metrics"]["acc"]["n"] == 3
    assert data["first_minus_second"][-1]["metrics"]["acc"]["only_first"] == 2
    first = data["questions"][0]
    assert (first["subject"], first["line"], first["answer"]) == ("anatomy", 1, "A")
    assert [model["chosen"] for model in first["models"]] == [0, 1]
    assert first["models"][0]["log_probs"] == [-0.5, -3.0, -3.0, -3.0]
    assert "questions" not in as_json(results)


def test_the_picture_shows_every_subject_and_both_models(plan: Plan, tmp_path: Path) -> None:
    results = results_of(plan, knows("A"), knows("B"))
    path = tmp_path / "figures.svg"
    draw(results, path)
    text = path.read_text(encoding="utf-8")
    for word in ("anatomy", "world_religions", "all", "acc, 95 % intervals", "higher is better"):
        assert word in text
    draw(results, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text(encoding="utf-8") == text
    draw(results, tmp_path / "figures.png")
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"a picture is a \.svg or \.png file"):
        check_chart(tmp_path / "a.pdf", OptionError)
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(OptionError, match="is a folder"):
        check_chart(tmp_path / "a.svg", OptionError)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "mmlu2"}, "'mmlu2' is no task: expected one of mmlu, jmmlu, arc"),
        ({"by": "writing"}, "by = 'writing': mmlu is asked by letter or answer"),
        ({"few_shot": 65}, "few_shot = 65: expected 0 to 64"),
        ({"few_shot": -1}, "few_shot = -1"),
        ({"limit": 0}, "limit = 0: expected 1 or more"),
        ({"name": "perplexity", "few_shot": 1}, "a text has no examples"),
    ],
)
def test_plans_that_make_no_sense(tmp_path: Path, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make_plan(**{"name": "mmlu", "data": tmp_path, **arguments})  # type: ignore[arg-type]
