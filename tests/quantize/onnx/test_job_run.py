"""What `quantize --format onnx` makes is run and measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeai import Session
from tests.quantize.onnx.test_job import made
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]
TEXT = "The sea is wide and the wind is strong. " * 200


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return case_checkpoint(tmp_path, "llama")


def test_a_session_runs_it(checkpoint: Path, tmp_path: Path) -> None:
    out = made("--bits", "8", checkpoint, out=tmp_path / "out")
    with Session(out, n_ctx=64, chat_template="plain") as session:
        assert session.complete("Hello", max_tokens=3, temperature=0).usage.completion_tokens == 3


def test_it_calibrates_and_reports(
    checkpoint: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr("quantize.report.evaluation_text", lambda: TEXT)
    made("--bits", "8", "--calibrate", text, "--report", "--json", checkpoint, out=tmp_path / "new" / "out.v1")
    report = json.loads(capsys.readouterr().out)["report"]
    assert report["file_type"] == "int8 ONNX"
    assert report["quality"]["kld_mean"]["value"] < 0.01
    assert report["speed"]["decode_tokens_per_s"] > 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["out.v1", "out.v1.imatrix.gguf"]
