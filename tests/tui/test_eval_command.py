"""`edgeai eval`, run as a person runs it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeai.backends.base import ScoreEvent, ScoreRequest
from edgeai.evaluation.intervals import Estimate
from edgeai.notes.journal import jobs_dir
from edgeai.session import Session
from tests.evaluation import files
from tests.evaluation.scorers import FakeScorer, Rate, knows, model_file
from tests.tui.terminal import FakeModels
from tui import session_options
from tui.cli import main
from tui.eval_report import bar, figure

Capture = pytest.CaptureFixture[str]


class Interrupted(FakeScorer):
    """Whoever waits presses Ctrl-C when the second subject comes."""

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        if len(self.asked) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        yield from super().score(request)


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(files.mmlu(tmp_path / "data"))


def models(monkeypatch: pytest.MonkeyPatch, folder: Path, **rates: Rate) -> None:
    """Models by their names, with a file each."""

    def open_session(model: str | None, **_: Any) -> Session:
        backend = FakeScorer(rates[model or "default"])
        path = str(model_file(folder, f"{model}.gguf"))
        backend._info = dataclasses.replace(backend.info, path=path, name=model or "default")
        return Session(backend=backend)

    monkeypatch.setattr(session_options, "open_session", open_session)


def test_the_tasks_are_listed_without_data(capsys: Capture) -> None:
    assert main(["eval", "--list"]) == 0
    out = capsys.readouterr().out
    for word in ("mmlu:", "jmmlu:", "arc:", "hellaswag:", "jaster:", "perplexity:", "data/dev/SUBJECT_dev.csv"):
        assert word in out


def test_one_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: str, capsys: Capture) -> None:
    models(monkeypatch, tmp_path, small=knows("A"))
    assert main(["eval", "mmlu", "--data", data, "-m", "small", "--few-shot", "1"]) == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines()]
    assert captured.out.startswith("mmlu by letter, 1 example, 5 questions\n")
    assert ["anatomy", "33.3", "%", "6.1", "%", "…", "79.2", "%"] in [line[:8] for line in lines]
    assert ["all", "40.0", "%"] in [line[:3] for line in lines]
    assert max(map(len, captured.out.splitlines())) <= 80
    assert captured.err == ""
    assert list(jobs_dir().iterdir()) == []


def test_two_models_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: str, capsys: Capture) -> None:
    models(monkeypatch, tmp_path, q4=knows("A"), q8=knows("B"))
    out = tmp_path / "results.json"
    arguments = ["-m", "q4", "-m", "q8", "-o", str(out), "--picture", str(tmp_path / "p.svg")]
    assert main(["eval", "mmlu", "--data", data, *arguments]) == 0
    captured = capsys.readouterr()
    rows = {line.split()[0]: line.split() for line in captured.out.splitlines() if line.strip()}
    assert rows["all"][1:6] == ["40.0", "%", "20.0", "%", "+20.0"]
    assert rows["all"][-2:] == ["1.000", "5"]
    assert "acc: no difference can be seen (only one of them is right on 2 and 1; p = 1.000)" in captured.out
    written = json.loads(out.read_text(encoding="utf-8"))
    assert [model["name"] for model in written["models"]] == ["q4", "q8"]
    assert len({model["sha256"] for model in written["models"]}) == 2
    assert len(written["questions"]) == 5
    assert (tmp_path / "p.svg").stat().st_size > 1000
    assert captured.err.splitlines() == [f"done: {out}", f"done: {tmp_path / 'p.svg'}"]
    assert oct(out.stat().st_mode & 0o777) == "0o644"


def test_a_sure_difference_is_said_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    rows = [[f"Question {number}?", "a", "b", "c", "d", "A"] for number in range(12)]
    path = files.write_csv(tmp_path / "easy_test.csv", rows)
    models(monkeypatch, tmp_path, q4=knows("B"), q8=knows("A"))
    assert main(["eval", "mmlu", "--data", str(path), "-m", "q4", "-m", "q8", "--few-shot", "0"]) == 0
    assert "acc: q8 is better by 100.0 points (only one of them is right on 0 and 12; p = <0.001)" in (
        capsys.readouterr().out
    )


def test_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: str, capsys: Capture) -> None:
    models(monkeypatch, tmp_path, small=knows("A"))
    assert main(["eval", "mmlu", "--data", data, "-m", "small", "--limit", "1", "--by", "answer", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["limit"], found["by"]) == (1, "answer")
    assert list(found["models"][0]["results"][-1]["metrics"]) == ["acc", "acc_norm", "acc_bytes"]
    assert found["models"][0]["results"][-1]["n_questions"] == 2


def test_ctrl_c_and_again(monkeypatch: pytest.MonkeyPatch, data: str, capsys: Capture) -> None:
    FakeModels(monkeypatch, Interrupted())
    assert main(["eval", "mmlu", "--data", data]) == 130
    assert "note: not finished: the same command goes on with what is done\n" in capsys.readouterr().err
    after = FakeModels(monkeypatch, FakeScorer())
    assert main(["eval", "mmlu", "--data", data]) == 0
    assert len(after.backend.asked) == 1  # type: ignore[attr-defined]
    assert capsys.readouterr().err == "note: goes on with earlier work: 3 of 5 are done\n"


def test_correlations_of_two_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    """Of 5 4 3 2 1 0 0 and 5 4.5 3.5 2.5 1 0.5 0: (59.5 - 36.429) / sqrt(22.857 · 23.714) = 0.991.

    Of 3 3 3 3 3 3 2: (51 - 48.571) / sqrt(0.857 · 23.714) = 0.539.
    """

    def open_session(model: str | None, **_: Any) -> Session:
        backend = FakeScorer().enqueue(*("5432100" if model == "good" else "3333332"), "東京", "東京")
        path = str(model_file(tmp_path, f"{model}.gguf"))
        backend._info = dataclasses.replace(backend.info, path=path, name=f"{model}")
        return Session(backend=backend)

    monkeypatch.setattr(session_options, "open_session", open_session)
    samples = [{"input": f"文{number}", "output": f"{number / 2}"} for number in (10, 9, 7, 5, 2, 1, 0)]
    files.write_json(tmp_path / "jsts.json", {**files.MAWPS, "metrics": ["pearson", "spearman"], "samples": samples})
    files.write_json(tmp_path / "qa.json", files.JEMHOPQA)
    picture = tmp_path / "p.svg"
    arguments = ["-m", "good", "-m", "bad", "--few-shot", "0", "--picture", str(picture)]
    assert main(["eval", "jaster", "--data", str(tmp_path), *arguments]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert [row[:4] for row in rows if row[:1] == ["jsts"]] == [
        ["jsts", "0.991", "0.539", "+0.452"],
        ["jsts", "0.991", "0.612", "+0.379"],
    ]
    assert "pearson of jsts: good is better by 0.452 (95 % interval, n = 7)" in out
    assert "all" not in [row[0] for row in rows if row]  # each metric is of one file
    drawn = picture.read_text(encoding="utf-8")
    assert all(f"{metric}, 95 % intervals" in drawn for metric in ("char_f1", "pearson", "spearman"))


def test_one_piece_of_text_tells_nothing_of_two_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "text.txt").write_text("word " * 50)
    models(monkeypatch, tmp_path, q4=lambda _, text: -2.0 * len(text), q8=lambda _, text: -float(len(text)))
    assert main(["eval", "perplexity", "--data", str(tmp_path / "text.txt"), "-m", "q4", "-m", "q8"]) == 0
    out = capsys.readouterr().out
    assert ["text", "7.389", "2.718", "+4.671", "unknown", "1"] in [line.split() for line in out.splitlines()]
    assert "perplexity: too few questions to tell (n = 1)" in out


def test_one_model_under_two_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: str, capsys: Capture) -> None:
    def open_session(model: str | None, **_: Any) -> Session:
        backend = FakeScorer()
        (tmp_path / f"{model}.gguf").write_bytes(b"the same")
        backend._info = dataclasses.replace(backend.info, path=str(tmp_path / f"{model}.gguf"), name=f"{model}")
        return Session(backend=backend)

    monkeypatch.setattr(session_options, "open_session", open_session)
    assert main(["eval", "mmlu", "--data", data, "-m", "one", "-m", "copy"]) == 2
    assert "one and copy are the same model (SHA-256 " in capsys.readouterr().err


def test_a_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "text.txt").write_text("word " * 500)
    models(monkeypatch, tmp_path, small=lambda _before, text: -float(len(text)))
    assert main(["eval", "perplexity", "--data", str(tmp_path / "text.txt"), "-m", "small"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("perplexity, 3 pieces of text\n")
    assert "2.718" in out
    assert "1.443" in out  # 1 / ln 2 bits


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Missing argument 'TASK'"),
        (["mmlu"], 2, "Missing option '--data'"),
        (["nlu", "--data", "DATA"], 1, "'nlu' is no task: expected one of mmlu"),
        (["mmlu", "--data", "missing"], 1, "missing: no such file"),
        (["mmlu", "--data", "DATA", "-m", "a", "-m", "a"], 2, "expected one model, or two that differ"),
        (["mmlu", "--data", "DATA", "-m", "a", "-m", "b", "-m", "c"], 2, "--model was given 3 times"),
        (["mmlu", "--data", "DATA", "-o", "DATA/test/anatomy_test.csv"], 2, "is there already"),
        (["mmlu", "--data", "DATA", "-o", "nowhere/results.json"], 2, "nowhere: no such folder"),
        (["mmlu", "--data", "DATA", "--picture", "a.pdf"], 1, "a picture is a .svg or .png file"),
        (["mmlu", "--data", "DATA", "--few-shot", "100"], 1, "few_shot = 100: expected 0 to 64"),
        (["perplexity", "--data", "DATA", "--chat"], 1, "a text is read as it is, without a chat template"),
    ],
)
def test_wrong_usage_is_told_before_a_model_is_opened(
    monkeypatch: pytest.MonkeyPatch, data: str, capsys: Capture, arguments: list[str], code: int, words: str
) -> None:
    opened = FakeModels(monkeypatch, FakeScorer())
    assert main(["eval", *(argument.replace("DATA", data) for argument in arguments)]) == code
    assert words in capsys.readouterr().err
    assert opened.opened == []


def test_force_replaces_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: str) -> None:
    FakeModels(monkeypatch, FakeScorer())
    out = tmp_path / "results.json"
    out.write_text("old")
    assert main(["eval", "mmlu", "--data", data, "-o", str(out)]) == 2
    assert out.read_text() == "old"
    assert main(["eval", "mmlu", "--data", data, "-o", str(out), "--force"]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["task"] == "mmlu"


def test_a_subject_of_escape_sequences_is_harmless(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    path = files.write_csv(tmp_path / "\x1b[31mred\u202e_test.csv", files.ANATOMY)
    FakeModels(monkeypatch, FakeScorer())
    assert main(["eval", "mmlu", "--data", str(path), "--few-shot", "0"]) == 0
    out = capsys.readouterr().out
    assert "red" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_a_bar_shows_the_figure_and_its_interval() -> None:
    assert bar(Estimate(0.5, 0.4, 0.6, 10), 1.0) == "████████▓▓░░        "
    assert bar(Estimate(0.0, 0.0, 0.0, 1), 0.0) == " " * 20
    assert bar(Estimate(-0.5, -0.9, 0.25, 9), 1.0) == "░░░░░               "
    assert figure(-0.25, "pearson", sign=True) == "-0.250"
