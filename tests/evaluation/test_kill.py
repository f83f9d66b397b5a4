"""A run that is killed goes on where it was, in another process, and comes to the same figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgeai.notes.journal import jobs_dir
from tests.evaluation import files
from tests.tiny import tiny_model
from tui.cli import main

_COMMAND = "import sys; from tui.cli import main; sys.exit(main(sys.argv[1:]))"
_N_QUESTIONS = 200


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    rows = [
        [f"What is {n} and {n + 1}?", f"{n}", f"{2 * n + 1}", f"{3 * n}", f"{n * n}", "B"] for n in range(_N_QUESTIONS)
    ]
    data = files.write_csv(tmp_path / "sums_test.csv", rows)
    model = tiny_model(tmp_path / "tiny.gguf")
    return ["eval", "mmlu", "--few-shot", "1", "--threads", "1", "--data", str(data), "-m", str(model)]


def kept() -> list[bytes]:
    return [line for path in jobs_dir().glob("*/steps.jsonl") for line in path.read_bytes().splitlines()]


def figures(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_killed_run_goes_on(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen([sys.executable, "-c", _COMMAND, *arguments], stdout=subprocess.DEVNULL)
    while not kept():
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    n_kept = len(kept())
    assert main([*arguments, "-o", str(tmp_path / "resumed.json")]) == 0
    goes_on = f"note: goes on with earlier work: {min(32 * n_kept, _N_QUESTIONS - 1)} of {_N_QUESTIONS - 1} are done\n"
    assert goes_on in capsys.readouterr().err
    assert not kept()
    monkeypatch.setenv("EDGEAI_HOME", str(tmp_path / "another"))
    assert main([*arguments, "-o", str(tmp_path / "whole.json")]) == 0
    assert "goes on" not in capsys.readouterr().err
    assert figures(tmp_path / "resumed.json") == figures(tmp_path / "whole.json")
