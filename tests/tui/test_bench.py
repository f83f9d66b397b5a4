"""`edgeai bench`: what it measures, and how it shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fakes import FakeBackend
from tests.tui.terminal import FakeModels
from tui.cli import main
from tui.commands.bench import bar


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    return FakeModels(monkeypatch, FakeBackend())


def test_every_length_with_every_number_of_threads(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--lengths", "50, 200", "--threads", "1,auto", "--repeat", "2", "--decode", "2", "-m", "some"]
    assert main(["bench", *args, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(run["threads"], run["prompt_tokens"]) for run in found["runs"]] == [
        (1, 48),  # one token is one character here, and a number with its blank seven
        (1, 195),
        ("auto", 48),
        ("auto", 195),
    ]
    assert found["model"] == "Fake"
    assert [(model, options["n_threads"], options["n_ctx"]) for model, options in models.opened] == [
        ("some", 1, 218),
        ("some", "auto", 218),
    ]


def test_no_prompt_shares_its_beginning_with_another(models: FakeModels) -> None:
    assert main(["bench", "--lengths", "50,100", "--threads", "1", "--repeat", "3"]) == 0
    prompts = models.prompts[1:]
    assert len({prompt.split()[0] for prompt in prompts}) == len(prompts) == 6


def test_the_table(models: FakeModels, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["bench", "--lengths", "50,60", "--threads", "1,2"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("Fake, ")
    assert out.count("██████████████") == 4  # the fake decodes at 100.0 tok/s always
    assert out.count("100.0") == 4


@pytest.mark.parametrize("value", ["", "x", "0", "-1", "1.5", "1,,2", "auto", "9" * 5000])
def test_lengths_that_make_no_sense(models: FakeModels, capsys: pytest.CaptureFixture[str], value: str) -> None:
    assert main(["bench", "--lengths", value]) == 2
    assert "expected positive numbers" in capsys.readouterr().err
    assert models.opened == []


def test_bars_are_exact_to_an_eighth() -> None:
    assert bar(1, 1, 3) == "███"
    assert bar(0.5, 1, 3) == "█▌ "
    assert bar(0, 1, 3) == bar(0, 0, 3) == "   "
    assert bar(2, 1, 3) == "███"


@pytest.mark.weights
def test_a_real_model(real_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--lengths", "64", "--threads", "1", "--repeat", "1", "--decode", "8", "--json"]
    assert main(["bench", "-m", str(real_model), *args]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert 48 <= run["prompt_tokens"] <= 64
    assert run["completion_tokens"] == 8
    assert run["prefill_tokens_per_s"] > run["decode_tokens_per_s"] > 0
