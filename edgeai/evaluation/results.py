"""From runs to figures: by subject and over all questions, with their intervals; two models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeai import __version__
from edgeai.errors import GenerationError
from edgeai.evaluation.intervals import N_RESAMPLES, SEED, Estimate, Paired, estimate, paired
from edgeai.evaluation.metrics import METRICS, Score, chosen, metrics_of, scores
from edgeai.evaluation.run import ModelRun, SubjectRun, plan_facts
from edgeai.evaluation.tasks import Plan
from edgeai.evaluation.types import By, Choice, Exercise, Outcome, Question

ALL = "all"
"""The row of all subjects: every question counts the same, whichever subject it is of. It has no correlations."""


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of a subject.

    Attributes:
        subject: its name, or ALL.
        n_questions: asked.
        n_failed: of them, those that could not be asked, and count for nothing.
        n_examples: before each question; the fewest, for ALL.
        metrics: by name, those that it has.
    """

    subject: str
    n_questions: int
    n_failed: int
    n_examples: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Results:
    """What came of a plan.

    Attributes:
        plan: the plan.
        runs: a model each, one or two.
        rows: of each model: its subjects, then ALL where there is more than one.
        differences: of each row: by metric, the first model minus the second; empty for one model.
    """

    plan: Plan
    runs: Sequence[ModelRun]
    rows: Sequence[Sequence[Row]]
    differences: Sequence[Mapping[str, Paired]]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics, in their usual order."""
        return tuple(name for name in METRICS if any(name in row.metrics for row in self.rows[0]))

    def shown(self, metric: str) -> list[int]:
        """The rows to show of a metric: those that have it, and ALL where it says more than the others."""
        found = [index for index, row in enumerate(self.rows[0]) if metric in row.metrics]
        return found[:-1] if len(found) == 2 and self.rows[0][found[-1]].subject == ALL else found


_Table = list[list[Mapping[str, Score]]]  # of each subject, of each question, by metric


def make_results(plan: Plan, runs: Sequence[ModelRun]) -> Results:
    """Work the figures out.

    Raises:
        GenerationError: a model could not be asked any question.
    """
    for run in runs:
        outcomes = [outcome for subject in run.subjects for outcome in subject.outcomes]
        if all(outcome.error for outcome in outcomes):
            raise GenerationError(f"{run.name}: no question could be asked: the first has {outcomes[0].error}")
    tables = [[_scored(subject, plan.by) for subject in run.subjects] for run in runs]
    rows = [_rows(run, table, plan.by) for run, table in zip(runs, tables, strict=True)]
    return Results(plan, runs, rows, _differences(tables, rows) if len(runs) == 2 else ())


def _scored(run: SubjectRun, by: By) -> list[Mapping[str, Score]]:
    metrics = run.subject.metrics
    pairs = zip(run.subject.questions, run.outcomes, strict=True)
    return [scores(question, outcome, by, metrics) for question, outcome in pairs]


def _rows(run: ModelRun, table: _Table, by: By) -> list[Row]:
    rows = [_row(each.subject.name, [each], [scored], by) for each, scored in zip(run.subjects, table, strict=True)]
    return [*rows, _row(ALL, run.subjects, table, by)] if len(rows) > 1 else rows


def _row(name: str, runs: Sequence[SubjectRun], table: _Table, by: By) -> Row:
    scored = [each for subject in table for each in subject]
    named = {metric for run in runs for metric in metrics_of(run.subject.questions[0], by, run.subject.metrics)}
    found = {}
    for metric in METRICS.values():
        values = [each[metric.name] for each in scored if metric.name in each]
        if metric.name in named and values and not (metric.is_correlation and len(table) > 1):
            found[metric.name] = estimate(metric, values)
    n_failed = sum(not each for each in scored)
    return Row(name, len(scored), n_failed, min(run.n_examples for run in runs), found)


def _differences(tables: Sequence[_Table], rows: Sequence[Sequence[Row]]) -> list[Mapping[str, Paired]]:
    first, second = tables
    parts = [list(zip(one, other, strict=True)) for one, other in zip(first, second, strict=True)]
    if len(rows[0]) > len(parts):
        return [*map(_paired, parts), _paired([pair for part in parts for pair in part], is_all=True)]
    return [_paired(part) for part in parts]


def _paired(
    pairs: Sequence[tuple[Mapping[str, Score], Mapping[str, Score]]], *, is_all: bool = False
) -> dict[str, Paired]:
    found = {}
    for metric in METRICS.values():
        if is_all and metric.is_correlation:
            continue
        both = [
            (one[metric.name], other[metric.name])
            for one, other in pairs
            if metric.name in one and metric.name in other
        ]
        if both:
            found[metric.name] = paired(metric, [one for one, _ in both], [other for _, other in both])
    return found


def as_json(results: Results, *, with_questions: bool = False) -> dict[str, Any]:
    """Results as JSON can hold them.

    Args:
        results: the results.
        with_questions: what each model made of each question too, so that all figures can be worked out anew.
    """
    plan = results.plan
    data: dict[str, Any] = {
        "edgeai": __version__,
        **{name: value for name, value in plan_facts(plan).items() if name != "subjects"},
        "data": {path: digest for subject in plan.subjects for path, digest in subject.files.items()},
        "interval": (
            "95 %: Wilson for shares, Bonett and Price for their differences, bootstrap for means "
            f"({N_RESAMPLES} resamples, seed {SEED}), Fisher's z for correlations, Zou for their differences"
        ),
        "models": [
            {
                **about(run),
                "results": [_row_json(row) for row in rows],
            }
            for run, rows in zip(results.runs, results.rows, strict=True)
        ],
    }
    if results.differences:
        data["first_minus_second"] = [
            {"subject": row.subject, "metrics": {name: asdict(found) for name, found in differences.items()}}
            for row, differences in zip(results.rows[0], results.differences, strict=True)
        ]
    if with_questions:
        data["questions"] = _questions_json(results)
    return data


def about(run: ModelRun) -> dict[str, Any]:
    """What is known of a run beside its outcomes."""
    names = ("name", "path", "sha256", "n_ctx", "library")
    about = {**{name: getattr(run, name) for name in names}, "options": dict(run.options)}
    return {**about, "chat_template": run.chat_template} if run.chat_template else about


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "n_questions": row.n_questions,
        "n_failed": row.n_failed,
        "n_examples": row.n_examples,
        "metrics": {name: asdict(found) for name, found in row.metrics.items()},
    }


def _questions_json(results: Results) -> list[dict[str, Any]]:
    listed = []
    for index, subject in enumerate(results.plan.subjects):
        for number, question in enumerate(subject.questions):
            made = [_outcome_json(run.subjects[index].outcomes[number]) for run in results.runs]
            listed.append({"subject": subject.name, "line": question.line, **_right_json(question), "models": made})
    return listed


def _right_json(question: Question) -> dict[str, Any]:
    if isinstance(question, Choice):
        return {"answer": question.labels[question.answer]}
    return {"answer": question.answer} if isinstance(question, Exercise) else {}


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.error:
        return {"error": outcome.error}
    if outcome.n_tokens:
        made = {"log_probs": [round(value, 6) for value in outcome.log_probs], "n_tokens": list(outcome.n_tokens)}
        return {**made, "chosen": chosen(outcome.log_probs)} if len(outcome.log_probs) > 1 else made
    return {"text": outcome.text}
