"""Prompts, letter by letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.evaluation.prompts import template_for
from edgeai.evaluation.tasks import TASKS, make_plan
from edgeai.evaluation.types import By
from tests.evaluation import files


def prompt_of(task: str, data: Path, by: By, few_shot: int, number: int = 0) -> tuple[str, list[str]]:
    """The prompt of the first subject's question, and what may follow it."""
    plan = make_plan(task, data, by=by, few_shot=few_shot)
    subject = plan.subjects[0]
    template = template_for(task, plan.by, subject)
    question = subject.questions[number]
    return template.beginning(subject, few_shot, by) + template.asked(question), template.answers(question, by)


def test_mmlu_by_letter(tmp_path: Path) -> None:
    prompt, answers = prompt_of("mmlu", files.mmlu(tmp_path), "letter", 1)
    assert prompt == (
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
        "How many bones has an adult's body?\nA. 106\nB. 206\nC. 306\nD. 406\nAnswer: B\n\n"
        "Which bone is the longest?\nA. the femur\nB. the tibia\nC. the ulna\nD. the radius\nAnswer:"
    )
    assert answers == [" A", " B", " C", " D"]


def test_mmlu_by_answer(tmp_path: Path) -> None:
    prompt, answers = prompt_of("mmlu", files.mmlu(tmp_path), "answer", 1)
    assert prompt == (
        "The following are questions (with answers) about anatomy.\n\n"
        "Question: How many bones has an adult's body?\nAnswer: 206\n\n"
        "Question: Which bone is the longest?\nAnswer:"
    )
    assert answers == [" the femur", " the tibia", " the ulna", " the radius"]


def test_jmmlu(tmp_path: Path) -> None:
    path = files.write_csv(tmp_path / "japanese_geography.csv", files.JMMLU)
    prompt, answers = prompt_of("jmmlu", path, "letter", 1)
    assert prompt == (
        "次は「japanese geography」の四択問題とその答えです。\n\n"
        "問題: 日本で一番高い山は？\nA. 富士山\nB. 北岳\nC. 槍ヶ岳\nD. 立山\n答え: A\n\n"
        "問題: 一円玉の重さは？\nA. 0.5 g\nB. 1 g\nC. 2 g\nD. 3 g\n答え:"
    )
    assert answers == [" A", " B", " C", " D"]


def test_arc_both_ways(tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "ARC-Easy-Test.jsonl", files.ARC)
    prompt, answers = prompt_of("arc", path, "answer", 0)
    assert (prompt, answers) == (
        "Question: What melts when it is warmed?\nAnswer:",
        [" ice", " a stone in the garden", " wood"],
    )
    prompt, answers = prompt_of("arc", path, "letter", 0, 1)
    assert prompt.endswith("\n3. the planet Mars\n4. Ceres and the other ones\nAnswer:")
    assert answers == [" 1", " 2", " 3", " 4"]


def test_hellaswag(tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "hellaswag_val.jsonl", files.HELLASWAG)
    prompt, answers = prompt_of("hellaswag", path, "answer", 1)
    assert prompt == (
        "Baking bread: A woman kneads dough on a table. She puts it into the oven.\n\n"
        "Gardening: How to plant a tree. Dig a hole."
    )
    assert answers[1] == " Put the tree in."


def test_jaster_in_its_two_languages(tmp_path: Path) -> None:
    folder = files.jaster(tmp_path)
    assert prompt_of("jaster", folder / "jemhopqa.json", "writing", 1)[0] == (
        "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。\n\n"
        "### 指示:\n質問を入力とし、回答を出力してください。\n\n"
        "### 入力:\n質問：日本の首都は？\n\n### 応答:\n東京\n\n"
        "### 入力:\n質問：フランスの首都は？\n\n### 応答:\n"
    )
    english = prompt_of("jaster", folder / "mawps.json", "writing", 1)[0]
    assert english.endswith("### Input:\n1 + 1 = ?\n\n### Response:\n2\n\n### Input:\n2 + 3 = ?\n\n### Response:\n")


def test_braces_in_questions_are_nothing_special(tmp_path: Path) -> None:
    path = files.write_csv(tmp_path / "code_test.csv", [["What is {text!r} in {0}?", "{", "}", "{a}", "%s", "A"]])
    prompt, answers = prompt_of("mmlu", path, "answer", 0)
    assert "What is {text!r} in {0}?" in prompt
    assert answers == [" {", " }", " {a}", " %s"]


@pytest.mark.parametrize("name", list(TASKS))
def test_every_way_of_every_task_has_a_template(name: str) -> None:
    from edgeai.evaluation.prompts import TEMPLATES

    assert set(TEMPLATES[name]) == set(TASKS[name].ways)
