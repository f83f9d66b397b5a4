"""The line that says what is going on: on terminals only, never in the way of the answer."""

from __future__ import annotations

import sys

import pytest

from edgeai.backends.base import PrefillProgress
from tui import progress_line
from tui.progress_line import ProgressLine


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, after_s: float = -1.0) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress_line, "_AFTER_S", after_s)


def test_it_is_shown_and_taken_away(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    with ProgressLine() as line:
        line.loading(0.5)
        line.reading(PrefillProgress(1024, 2048, 0))
        line.clear()
        line.clear()
        line.show("again")
    assert capsys.readouterr() == (
        "",
        "\r\x1b[2mloading the model: 50%\x1b[0m\x1b[K"
        "\r\x1b[2mreading: 1,024 of 2,048 tokens\x1b[0m\x1b[K"
        "\r\x1b[K"
        "\r\x1b[2magain\x1b[0m\x1b[K"
        "\r\x1b[K",
    )


def test_what_is_quick_needs_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, after_s=3600.0)
    with ProgressLine() as line:
        line.loading(0.5)
    assert capsys.readouterr().err == ""


def test_files_and_pipes_get_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "_AFTER_S", -1.0)
    with ProgressLine() as line:
        line.loading(0.5)
    assert capsys.readouterr().err == ""
