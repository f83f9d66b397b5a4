"""`quantize --auto --format any`: ONNX beside the mixes of GGUF."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from quantize import candidates
from quantize.cli import main
from quantize.speed import measure_speeds
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]
TEXT = "The sea is wide and the wind is strong. " * 400


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "USUAL", ("Q4_0",))
    monkeypatch.setattr("quantize.report.evaluation_text", lambda: TEXT)
    monkeypatch.setattr("quantize.report.measure_speeds", partial(measure_speeds, repeat=1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return case_checkpoint(tmp_path, "llama")


def test_the_best_of_both_formats_is_kept(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert main(["--auto", "--format", "any", "--prefer", "quality", "--json", "-o", str(out), str(folder)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [item["file_type"] for item in facts["reports"]] == ["Q4_0", "int8 ONNX", "int4 ONNX"]
    assert all(item["quality"] and item["speed"] for item in facts["reports"])
    assert facts["ftype"] == "int8 ONNX"
    made = Path(facts["path"])
    assert list(out.iterdir()) == [made]
    assert json.loads((made / "edgeai.json").read_text())["bits"] == 8


def test_what_is_there_is_refused_before_the_work(folder: Path, capsys: Capture) -> None:
    assert main(["--format", "onnx", str(folder)]) == 0
    before = sorted(folder.iterdir())
    assert main(["--auto", "--format", "any", str(folder)]) == 1
    assert "-int4-onnx exists" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_a_dry_run_lists_both(folder: Path, capsys: Capture) -> None:
    assert main(["--auto", "--format", "any", "--dry-run", "--json", str(folder)]) == 0
    assert [item["ftype"] for item in json.loads(capsys.readouterr().out)] == ["Q4_0", "int8 ONNX", "int4 ONNX"]


def test_what_onnx_has_no_graph_for_is_compared_without(tmp_path: Path, capsys: Capture) -> None:
    folder = case_checkpoint(tmp_path, "plamo2")
    assert main(["--auto", "--format", "any", "--dry-run", "--json", str(folder)]) == 0
    told = capsys.readouterr()
    assert "ONNX is not compared" in told.err
    assert "ONNX" not in told.out


def test_any_is_for_auto(folder: Path, capsys: Capture) -> None:
    assert main(["--format", "any", str(folder)]) == 2
    assert "--format any is for --auto" in capsys.readouterr().err
