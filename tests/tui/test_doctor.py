"""`edgeai doctor`: what it says of this machine is true, and each warning says what to do."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

import tui.doctor_report
from edgeai import ModelError
from edgeai.history import History
from edgeai.installed import add_model
from edgeai.sandbox import Report
from tests.conftest import REAL_MODELS
from tui.cli import main


def facts(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["doctor", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    value = json.loads(captured.out)
    assert isinstance(value, dict)
    return value


def warnings(capsys: pytest.CaptureFixture[str]) -> str:
    return "\n".join(f"{item['problem']} -> {item['advice']}" for item in facts(capsys)["warnings"])


def test_facts_are_those_of_the_machine(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    found = facts(capsys)
    assert found["machine"]["logical_cpus"] == os.cpu_count()
    assert 0 < found["machine"]["available_bytes"] <= found["machine"]["memory_bytes"]
    assert found["machine"]["memory_bytes"] <= psutil.virtual_memory().total
    assert found["machine"]["threads"] >= 1
    assert found["llama_cpp"]["version"].startswith("0.3.")
    assert found["llama_cpp"]["features"]
    assert found["folders"]["data"] == str(home)
    assert found["folders"]["free_bytes"] <= shutil.disk_usage(home.parent).total
    assert found["terminal"]["is_terminal"] is False
    assert {"name", "fits", "memory_bytes"} <= set(found["models"][0])


def test_it_fits_on_a_page_of_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 50
    page = "\n".join(lines)
    for word in (
        "processor",
        "memory",
        "threads",
        "llama.cpp",
        "isolation",
        "sandbox",
        "microphone",
        "speaker",
        "speech",
        "would fit",
    ):
        assert word in page


def test_it_changes_nothing(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    facts(capsys)
    assert not home.exists()


def test_no_model_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no model is installed -> edgeai models pull smollm2-135m-instruct" in warnings(capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
def test_what_the_sandbox_holds_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    isolation = facts(capsys)["isolation"]
    assert isolation["mode"] == "process"
    assert any("core dumps" in phrase for phrase in isolation["applied"])
    assert bool(isolation["n_system_calls"]) == any("allowed" in phrase for phrase in isolation["applied"])


def test_gaps_of_the_sandbox_are_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(("core dumps: none",), ("files: the kernel has no Landlock", "opening a socket is not refused"))
    monkeypatch.setattr(tui.doctor_report, "probe", lambda: report)
    assert "has gaps: files: the kernel has no Landlock; opening a socket is not refused -> use" in warnings(capsys)
    assert facts(capsys)["isolation"]["missing"] == list(report.missing)
    assert main(["doctor"]) == 0
    page = capsys.readouterr().out
    assert "gaps" in page
    assert "opening a socket is not refused" in page


def test_isolation_that_cannot_be_had_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "no engine process can be started: this program has no Python of its own" in warnings(capsys)
    isolation = facts(capsys)["isolation"]
    assert (isolation["mode"], isolation["applied"]) == ("none", [])
    assert main(["doctor"]) == 0
    assert "isolation   none: this program" in capsys.readouterr().out


@pytest.mark.weights
def test_weights_of_speech_are_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts(capsys)["audio"]["weights"] == []
    monkeypatch.setenv("EDGEAI_HOME", str(REAL_MODELS.parent))
    assert "whisper-base" in facts(capsys)["audio"]["weights"]


def test_conversations_are_counted_and_damage_is_told(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    with History() as history:
        history.create()
    assert facts(capsys)["history"]["conversations"] == 1
    (home / "history.db").write_bytes(b"not a database" * 100)
    assert "damaged" in warnings(capsys)


def test_a_broken_configuration_is_told(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("= broken")
    assert "config.toml" in warnings(capsys)


def test_a_broken_llama_cpp_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ModelError("llama-cpp-python cannot load its library: install it again")

    monkeypatch.setattr(tui.doctor_report, "llama_info", broken)
    assert "install it again" in warnings(capsys)
    assert main(["doctor"]) == 0


def test_a_full_disk_and_a_small_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((60, 20)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    text = warnings(capsys)
    assert "only 1 B of disk are free" in text
    assert "60×20" in text
    assert "cannot draw" in text


@pytest.mark.weights
def test_a_real_model_fits(capsys: pytest.CaptureFixture[str], real_model: Path) -> None:
    add_model(real_model, name="smollm2-135m-instruct", link=True)
    model = facts(capsys)["models"][0]
    assert (model["name"], model["installed"], model["default"], model["fits"]) == (
        "smollm2-135m-instruct",
        True,
        True,
        True,
    )
    assert "installed" not in warnings(capsys)
