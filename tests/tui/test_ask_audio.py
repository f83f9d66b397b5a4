"""`edgeai ask --audio`: a model that hears gets the sound, another its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai.session import Session
from edgeai.speech.types import Transcript
from edgeai.speech.wav import write_wav
from tests.fakes import FakeBackend
from tests.tiny import tiny_model
from tests.tiny_projector import tiny_projector
from tests.tui.terminal import FakeModels, pipe_in
from tui.cli import main


@pytest.fixture
def wav(tmp_path: Path) -> str:
    tone = (0.5 * np.sin(np.arange(16_000) / 6)).astype(np.float32)
    write_wav(tmp_path / "tone.wav", [tone], 16_000)
    return str(tmp_path / "tone.wav")


def opened(monkeypatch: pytest.MonkeyPatch, *, hears: bool) -> FakeModels:
    pipe_in(monkeypatch, b"")
    return FakeModels(monkeypatch, FakeBackend(hears=hears))


def test_a_model_that_hears_gets_the_sounds(monkeypatch: pytest.MonkeyPatch, wav: str) -> None:
    models = opened(monkeypatch, hears=True)
    assert main(["ask", "--audio", wav, "--audio", wav, "--mmproj", "ears.gguf", "Who sings?"]) == 0
    assert "user\n[♪♪♪][♪♪♪]Who sings?<" in models.prompts[0]
    assert models.opened[0][1]["mmproj_path"] == "ears.gguf"
    assert main(["ask", "--audio", wav]) == 0
    assert "user\n[♪♪♪]<" in models.prompts[1]


def test_another_model_gets_the_words(monkeypatch: pytest.MonkeyPatch, wav: str) -> None:
    def transcribe(_session: Session, _audio: Any) -> Transcript:
        return Transcript("What is an atom?", "en", (), 1.0)

    monkeypatch.setattr(Session, "transcribe", transcribe)
    models = opened(monkeypatch, hears=False)
    assert main(["ask", "--audio", wav, "In one sentence."]) == 0
    assert "user\nWhat is an atom?\n\nIn one sentence.<" in models.prompts[0]


@pytest.mark.parametrize("hears", [True, False])
def test_a_sound_that_is_none_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, hears: bool
) -> None:
    models = opened(monkeypatch, hears=hears)
    (tmp_path / "no.wav").write_bytes(b"no sound")
    for name in ("no.wav", "gone.wav") if hears else ("no.wav",):
        assert main(["ask", "--audio", str(tmp_path / name), "?"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    assert models.backend.requests == []


def test_a_real_model_answers_about_a_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, wav: str
) -> None:
    pipe_in(monkeypatch, b"")
    tiny_projector(tmp_path / "mmproj.gguf")
    model = str(tiny_model(tmp_path / "a.gguf"))
    answers = []
    for args in (["--audio", wav], [], ["--audio", wav]):
        assert main(["ask", "-m", model, *args, "What?", "--temperature", "0", "--max-tokens", "8"]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[2] != answers[1]
