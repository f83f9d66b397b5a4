"""`edgeai listen`: a line for each utterance, and nothing that was said is lost."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeai import AudioDeviceError, AudioError
from edgeai.paths import recordings_dir
from tests.speech.conversing import LONG, SHORT, LengthRecognizer, QuickSource
from tui.cli import main

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


class Interrupted(QuickSource):
    """Somebody presses Ctrl-C when all was given; it goes on with silence."""

    def read(self) -> Waveform | None:
        if (block := super().read()) is not None or self.is_closed:
            return block
        os.kill(os.getpid(), signal.SIGINT)
        assert self.closed.wait(20)
        return None


class Listening:
    """What `edgeai listen` listens with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recognizer = LengthRecognizer()
        self.source = QuickSource(SHORT)
        monkeypatch.setattr("edgeai.speech.engines.load_recognizer", lambda _name: self.recognizer)
        monkeypatch.setattr("edgeai.speech.devices.find_device", lambda _kind, _name: None)
        monkeypatch.setattr("edgeai.speech.devices.Microphone", lambda _name: self.source)
        monkeypatch.setattr("edgeai.speech.listener.VoiceActivity", lambda: lambda frames: np.abs(frames[::512]))


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    before = signal.getsignal(signal.SIGINT)
    yield Listening(monkeypatch)
    assert signal.getsignal(signal.SIGINT) is before


def test_it_prints_a_line_for_each_utterance(listening: Listening, capsys: pytest.CaptureFixture[str]) -> None:
    listening.source = QuickSource(np.concatenate([SHORT, LONG]))
    assert main(["listen"]) == 0
    assert capsys.readouterr() == ("short\nlong\n", "")
    assert listening.recognizer.n_calls == 2  # nobody sees words before


def test_on_a_terminal_words_are_shown_while_they_are_said(
    listening: Listening, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("tui.progress_line._AFTER_S", -1.0)
    listening.source = QuickSource(LONG)
    listening.source.waits_at, listening.source.may_go_on = 150, listening.recognizer.called
    assert main(["listen"]) == 0
    out, err = capsys.readouterr()
    assert out == "long\n"
    assert "short" in err


def test_lines_of_json_tell_when_it_was_said(listening: Listening, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["text"] == "short"
    assert isinstance(line["end_s"], float)


def test_ctrl_c_prints_what_was_said_last(listening: Listening, capsys: pytest.CaptureFixture[str]) -> None:
    listening.source = Interrupted(SHORT[:12_000])  # in the middle of a word
    assert main(["listen"]) == 130
    assert capsys.readouterr() == ("short\n", "")


def test_what_cannot_be_transcribed_is_kept(listening: Listening, capsys: pytest.CaptureFixture[str]) -> None:
    listening.recognizer.error = AudioError("no words")
    assert main(["listen"]) == 0
    (path,) = recordings_dir().iterdir()
    assert capsys.readouterr() == ("", f"error: no words (the recording is kept: {path})\n")


def test_a_microphone_that_is_unplugged_is_one_line_after_what_was_said(
    listening: Listening, capsys: pytest.CaptureFixture[str]
) -> None:
    listening.source = QuickSource(SHORT[:12_000], AudioDeviceError("the microphone is gone"))
    assert main(["listen"]) == 1
    assert capsys.readouterr() == ("short\n", "error: the microphone is gone\n")


def test_a_missing_microphone_is_told_before_anything_is_loaded(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_kind: str, name: str | None) -> None:
        raise AudioDeviceError(f"no microphone is called {name!r}")

    monkeypatch.setattr("edgeai.speech.devices.find_device", missing)
    monkeypatch.setattr("edgeai.speech.engines.load_recognizer", lambda _name: pytest.fail("it was loaded"))
    assert main(["listen", "--input", "mine"]) == 1
    assert capsys.readouterr() == ("", "error: no microphone is called 'mine'\n")


def test_without_weights_the_command_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgeai.speech.devices.find_device", lambda _kind, _name: None)
    monkeypatch.setattr("edgeai.speech.devices.Microphone", lambda _name: QuickSource(SHORT))
    assert main(["listen"]) == 1
    assert "`edgeai models pull whisper-base`" in capsys.readouterr().err
