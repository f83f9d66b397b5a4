"""The commands on an ONNX folder: they ask it, measure it, add it, and say what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.evaluation import files
from tests.tiny_onnx import tiny_onnx
from tui.cli import main

pytestmark = pytest.mark.usefixtures("no_stdin")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def no_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_onnx(tmp_path_factory.mktemp("tiny") / "tiny"))


def test_ask_and_bench_say_what_runs_it(folder: str, capsys: Capture) -> None:
    assert main(["ask", "-m", folder, "--provider", "cpu", "--max-tokens", "3", "--temperature", "0", "Hello"]) == 0
    assert capsys.readouterr().out
    args = ["--lengths", "30", "--threads", "1", "--decode", "2", "--repeat", "1"]
    assert main(["bench", "-m", folder, *args]) == 0
    assert capsys.readouterr().out.startswith("tiny, 2.5 MB, on cpu by ONNX Runtime · ")
    assert main(["bench", "-m", folder, *args, "--provider", "auto", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provider"] == "cpu"


def test_classify_and_eval_read_its_probabilities(folder: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in.txt").write_text("One.\nTwo and three.\n日本語\n", encoding="utf-8")
    out = tmp_path / "out.jsonl"
    assert (
        main(["classify", "-m", folder, "--labels", "good,not so good", str(tmp_path / "in.txt"), "-o", str(out)]) == 0
    )
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 3
    for row in rows:
        assert row["p_good"] + row["p_not so good"] == pytest.approx(1)
    capsys.readouterr()
    data = files.mmlu(tmp_path / "data")
    assert main(["eval", "mmlu", "--data", str(data), "--few-shot", "0", "-m", folder, "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["models"]
    assert run["library"].startswith("onnxruntime ")


def test_models_knows_it(folder: str, capsys: Capture) -> None:
    for args, words in {
        ("add", folder, "--name", "mine"): "mine: 2.5 MB added",
        ("show", "mine"): "ONNX 32 bits",
        ("verify", "mine"): "mine: ok",
        ("default", "mine"): "mine is the default now",
        ("remove", "mine", "--yes"): "mine: removed",
    }.items():
        assert main(["models", *args]) == 0
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--type-k", "q8_0"], "type_k = 'q8_0' is for GGUF models"),
        (["--mmproj", "x.gguf"], "mmproj_path = 'x.gguf' is for GGUF models"),
        (["--provider", "cuda"], "has cpu only"),
        (["--n-ctx", "100000"], "trained for 512 tokens"),
    ],
)
def test_what_cannot_be_is_one_line(folder: str, options: list[str], words: str, capsys: Capture) -> None:
    assert main(["ask", "-m", folder, *options, "Hello"]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_damage_is_one_line(folder: str, tmp_path: Path, capsys: Capture) -> None:
    copy = tiny_onnx(tmp_path / "tiny")
    os.truncate(copy / "model.onnx.data", 5000)
    assert main(["ask", "-m", str(copy), "Hello"]) == 1
    assert "model.onnx.data: 5,000 bytes, and edgeai.json says" in capsys.readouterr().err
    assert main(["models", "add", str(copy)]) == 1
    assert "5,000 bytes" in capsys.readouterr().err
    (copy / "model.onnx").unlink()
    assert main(["ask", "-m", str(copy), "Hello"]) == 1
    assert f"{copy}: no model.onnx" in capsys.readouterr().err


def test_doctor_tells_of_the_engine(capsys: Capture) -> None:
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["onnxruntime"]
    assert facts["providers"] == ["cpu"] or "cpu" in facts["providers"]
    assert facts["version"]
    assert facts["tokenizers"] is True
