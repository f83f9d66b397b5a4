"""What stands on a terminal while quantize works."""

from __future__ import annotations

import json
import re
import sys

import pytest
from rich.cells import cell_len

from edgeai.safe_text import plain
from quantize import terminal
from quantize.pipeline import Progress

Capture = pytest.CaptureFixture[str]


def test_what_another_program_says_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _terminal(monkeypatch)
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


def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stderr be a terminal of 80 columns."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def _frames(capsys: Capture) -> list[str]:
    """What stood on the terminal, one after the other."""
    lines = re.split(r"\r|\n|\x1b\[[0-9?]*[A-Zhl]", capsys.readouterr().err)
    return [plain(line).rstrip() for line in lines if line.strip()]


def test_a_bar_is_never_that_of_what_was_before(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _terminal(monkeypatch)
    with terminal.step_progress() as progress:
        progress("one", 0, 0)
        progress("one", 5, 5)
        progress("two", 0, 0)
        progress("two", 0, 7)
    frames = _frames(capsys)
    assert frames[-1].startswith("two")
    assert frames[-1].endswith(" 0%")
    ones = [frame for frame in frames if frame.startswith("one")]
    assert ones
    assert not any("0%" in frame for frame in ones)


def test_the_bar_of_writing_fits_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _terminal(monkeypatch)
    with terminal.write_progress() as progress:
        progress(Progress("blk.123.ffn_down_exps.weight_of_somebody", 123_400_000_000, 456_700_000_000))
    (frame, *_) = [frame for frame in _frames(capsys) if frame.startswith("blk")]
    assert "123.4/456.7 GB" in frame
    assert cell_len(frame) < 79


def test_notes_are_one_harmless_line(capsys: Capture) -> None:
    terminal.note("a\nb\x1b[2J")
    assert capsys.readouterr().err == "note: a b\n"
