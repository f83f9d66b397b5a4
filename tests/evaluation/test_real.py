"""The default model on questions that it can answer, through the whole command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluation import files
from tui.cli import main

pytestmark = pytest.mark.weights

QUESTIONS = """\
What do bees make?|honey|bread|paper|glass
Which animal says meow?|a cat|a dog|a cow|a horse
What is frozen water called?|ice|steam|sand|oil
What do plants need to grow?|sunlight and water|plastic and glass|darkness and salt|smoke and noise
What is the capital of France?|Paris|Madrid|Berlin|Rome
What do you call a baby dog?|a puppy|a kitten|a calf|a chick"""


def test_it_knows_some_things(real_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for number, line in enumerate(QUESTIONS.splitlines()):
        stem, *texts = line.split("|")
        texts = texts[number % 4 :] + texts[: number % 4]  # the right one is not always the first
        choices = [{"text": text, "label": label} for text, label in zip(texts, "ABCD", strict=True)]
        rows.append({"question": {"stem": stem, "choices": choices}, "answerKey": "ADCB"[number % 4]})
    data = files.write_lines(tmp_path / "easy.jsonl", rows)
    assert main(["eval", "arc", "--data", str(data), "-m", str(real_model), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["models"][0]["results"]
    assert row["metrics"]["acc"]["value"] >= 5 / 6
