"""Weights of speech at their first use: who is asked, and what happens then. Nothing is fetched in earnest."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from edgeai.catalog import Catalog
from edgeai.errors import ModelNotFoundError, OptionError, PullError
from edgeai.paths import models_dir
from tests.tui.terminal import pipe_in
from tui import speech_weights
from tui.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was fetched."""
    names: list[str] = []

    def pull(name: str, *, force: bool, on_progress: Any) -> None:
        assert force, "a damaged folder is replaced"
        on_progress(1, 2)
        names.append(name)

    monkeypatch.setattr("edgeai.pull.pull", pull)
    monkeypatch.delenv("EDGEAI_OFFLINE", raising=False)
    return names


def at_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    pipe_in(monkeypatch, typed.encode(), is_terminal=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


@pytest.mark.parametrize(("typed", "is_fetched"), [("\n", True), ("y\n", True), ("n\n", False)])
def test_on_a_terminal_it_asks(
    typed: str, is_fetched: bool, pulled: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    at_terminal(monkeypatch, typed)
    speech_weights.ensure("whisper-base")
    out, err = capsys.readouterr()
    assert pulled == ["whisper-base"] * is_fetched
    assert out == "", "that is where a transcript goes"
    assert "speech-to-text needs whisper-base, which is not installed: 148 MB, MIT (https://github.com/" in err
    assert "[Y/n]" in err


def test_without_a_terminal_nobody_is_asked(
    pulled: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pipe_in(monkeypatch, b"y\n")
    speech_weights.ensure("whisper-base")
    monkeypatch.setattr(sys, "stdin", None)
    speech_weights.ensure("whisper-base")
    assert (pulled, *capsys.readouterr()) == ([], "", "")


def test_offline_nobody_is_asked(pulled: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    at_terminal(monkeypatch, "y\n")
    monkeypatch.setenv("EDGEAI_OFFLINE", "1")
    assert main(["say", "--voice", "kokoro-jm_kumo", "-o", str(models_dir() / "a.wav"), "はい。"]) == 1
    assert pulled == []
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "edgeai models pull kokoro-ja" in line


def test_what_is_here_is_not_asked_about(pulled: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    entry = Catalog.load().entry("kokoro-ja")
    folder = models_dir() / entry.name
    folder.mkdir(parents=True)
    for file in entry.files:
        with (folder / file.file).open("wb") as made:
            made.truncate(file.size_bytes)
    at_terminal(monkeypatch, "y\n")
    speech_weights.ensure("Kokoro-JA")
    assert (pulled, capsys.readouterr().err) == ([], "")
    (folder / "vocab.json").unlink()
    speech_weights.ensure("kokoro-ja")
    assert pulled == ["kokoro-ja"]


def test_without_the_extra_they_are_of_no_use(pulled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    at_terminal(monkeypatch, "y\n")
    monkeypatch.setattr(speech_weights, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'edgeai\[speech\]'"):
        speech_weights.ensure("whisper-base")
    with pytest.raises(ModelNotFoundError, match="no model named"):
        speech_weights.ensure("whisper-huge")
    assert pulled == []


def test_what_goes_wrong_is_said(monkeypatch: pytest.MonkeyPatch, pulled: list[str], capsys: Capture) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise PullError("no network here")

    monkeypatch.setattr("edgeai.pull.pull", fail)
    at_terminal(monkeypatch, "\n")
    assert main(["say", "--voice", "kokoro-jf_alpha", "はい。"]) == 1
    assert "no network here" in capsys.readouterr().err
