"""The probe tells the truth: what holds, and what does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeai.sandbox import probe as probe_module
from edgeai.sandbox.probe import probe
from tests.sandbox.inside import ROOT, landlock_abi, linux_only

pytestmark = linux_only


def test_it_finds_what_holds() -> None:
    report = probe()
    assert report.landlock_abi == landlock_abi()
    if report.landlock_abi and report.n_system_calls:
        assert report.missing == ()
        assert any("Landlock" in words for words in report.applied)
        assert any(f"{report.n_system_calls} allowed" in words for words in report.applied)


def test_it_says_what_is_not_refused(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from edgeai.sandbox import Report, probe
probe.enter = lambda policy: Report()
probe.try_out({json.dumps([str(tmp_path)])!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    found, program = done.stdout.splitlines()
    words = " ".join(json.loads(found)[1])
    for attempt in ("/etc/passwd", str(tmp_path), "a socket", "a process", "another process", "of memory"):
        assert attempt in words
    assert program == "started"
    assert not list(tmp_path.iterdir())


def test_a_program_that_was_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "_START", "print('[[], [], 0, 0]'); print('started')")
    assert probe().missing == ("starting a program is not refused",)


@pytest.mark.parametrize("code", ["", "print('nonsense')", "print('[1]')", "import os; os.abort()"])
def test_a_broken_probe_is_an_error(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "_START", code)
    with pytest.raises(OSError, match="the sandbox cannot be tried"):
        probe()


def test_a_program_without_python_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(OSError, match="no Python of its own"):
        probe()
