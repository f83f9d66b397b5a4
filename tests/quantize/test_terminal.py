"""What stands on a terminal while quantize works."""

from __future__ import annotations

import sys

import pytest

from quantize import terminal

Capture = pytest.CaptureFixture[str]


def test_what_another_program_says_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with terminal.line_progress("the converter") as on_line:
        on_line("Setting chat_template to [INST] {{ text }} [/INST] [bold]")  # markup of rich, and wrong
    assert "[INST] {{ text }} [/INST] [bold]" in capsys.readouterr().err


def test_nothing_of_it_goes_into_a_file(capsys: Capture) -> None:
    with terminal.line_progress("the converter") as on_line:
        on_line("Writing")
    assert capsys.readouterr().err == ""
