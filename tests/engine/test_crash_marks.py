"""A model that ends the engine twice while it is loaded is not tried a third time, until somebody asks for it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from edgeai import EngineCrashedError, ModelFormatError, Session
from edgeai.engine import crash_marks
from tests.engine.children import impostor
from tests.tiny import tiny_model
from tui.cli import main

ABORTS = "pipe.receive(); print('GGML_ASSERT(n > 0) failed', file=sys.stderr, flush=True); import os; os.abort()"
HANGS = "pipe.receive(); import time; time.sleep(60)"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "model.gguf")


def crash(model: Path, monkeypatch: pytest.MonkeyPatch, code: str = ABORTS, **options: Any) -> EngineCrashedError:
    with monkeypatch.context() as patch:
        impostor(patch, code)
        with pytest.raises(EngineCrashedError) as caught:
            Session(model, **options)
    return caught.value


def test_two_crashes_and_it_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = crash(model, monkeypatch)
    assert error.signal == "SIGABRT"
    assert error.doing == "loading the model"
    assert "GGML_ASSERT(n > 0) failed" in str(error)
    crash(model, monkeypatch)
    with pytest.raises(
        ModelFormatError, match=r"ended the engine 2 times.*SIGABRT.*edgeai models retry model"
    ) as caught:
        Session(model)
    assert "\n" not in str(caught.value)


def test_a_copy_under_another_name_is_known_and_another_file_is_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        crash(model, monkeypatch)
    copy = shutil.copy(model, tmp_path / "copy.gguf")
    with pytest.raises(ModelFormatError, match="ended the engine"):
        Session(copy)
    other = tiny_model(tmp_path / "other.gguf", seed=1)
    assert other.stat().st_size == model.stat().st_size
    Session(other).close()


def test_asked_for_it_is_tried_again_and_a_success_clears_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        crash(model, monkeypatch)
    Session(model, retry_crashed=True).close()
    assert crash_marks.find_mark(model) is None
    Session(model).close()


def test_one_crash_between_successes_never_adds_up(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        crash(model, monkeypatch)
        assert crash_marks.find_mark(model) is not None
        Session(model).close()
        assert crash_marks.find_mark(model) is None


def test_a_hang_counts_and_a_kill_from_outside_does_not(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert crash(model, monkeypatch, HANGS, watchdog_s=0.3).hung_s == 0.3
    mark = crash_marks.find_mark(model)
    assert mark is not None
    assert mark.n_crashes == 1
    assert "no progress" in mark.reason
    killed = "pipe.receive(); import os; os.kill(os.getpid(), 9)"
    assert crash(model, monkeypatch, killed).signal == signal.SIGKILL.name
    mark = crash_marks.find_mark(model)
    assert mark is not None
    assert mark.n_crashes == 1


def test_the_command_forgets(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        crash(model, monkeypatch)
    assert main(["ask", "-m", str(model), "Hello"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["models", "retry", str(model)]) == 0
    assert "tried again" in capsys.readouterr().out
    Session(model).close()
    assert main(["models", "retry", str(model)]) == 0
    assert "not marked" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not json", b'[{"sha256": 5}]', b'{"a": 1}', b"\xff\xfe"])
def test_a_broken_file_of_marks_stops_nobody(content: bytes, model: Path, home: Path) -> None:
    home.mkdir(parents=True)
    crash_marks.marks_path().write_bytes(content)
    with Session(model) as session:
        assert session.count_tokens("Hello") > 0


def test_marks_that_cannot_be_written_hide_no_crash(
    model: Path, monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    home.write_text("a file where the folder should be")
    assert crash(model, monkeypatch).signal == "SIGABRT"


def test_the_file_is_json_that_people_can_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash(model, monkeypatch)
    (mark,) = json.loads(crash_marks.marks_path().read_text())
    assert mark["path"] == str(model)
    assert mark["n_crashes"] == 1
    assert len(mark["sha256"]) == 64
