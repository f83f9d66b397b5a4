"""What stands on a terminal while quantize works."""

from __future__ import annotations

import json
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


def test_json_has_names_that_are_not_utf_8(capsys: Capture) -> None:
    value = {"path": "\udcff.gguf", "text": "日本"}
    terminal.print_json(value)
    told = capsys.readouterr().out
    assert "日本" in told
    assert json.loads(told) == value
