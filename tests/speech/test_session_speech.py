"""A session speaks, and says what it lacks where it cannot hear."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from edgeai import AudioError, ModelNotFoundError, OptionError, Session
from tests.fakes import FakeBackend


@pytest.fixture
def session() -> Session:
    return Session(backend=FakeBackend().enqueue("It is warm. 今日は暖かい。"))


def test_an_answer_is_spoken_while_it_is_made(session: Session, tmp_path: Path) -> None:
    spoken = session.speak(session.chat("How is it?"))
    sentences = list(spoken)
    assert [(speech.text, speech.language) for speech in sentences] == [("It is warm.", "en"), ("今日は暖かい。", "ja")]
    assert list(spoken) == sentences
    seconds = sum(speech.duration_s for speech in sentences)
    assert len(spoken.waveform) / spoken.sample_rate_hz == pytest.approx(seconds, abs=0.01)
    assert 0.05 < np.abs(spoken.waveform).max() <= 1
    spoken.write(tmp_path / "answer.wav")
    with wave.open(str(tmp_path / "answer.wav")) as file:
        assert file.getnframes() == len(spoken.waveform)


def test_a_language_without_a_voice_is_an_error(session: Session) -> None:
    with pytest.raises(OptionError, match="Russian"):
        list(session.speak("Привет."))


def test_without_weights_the_command_is_named(session: Session) -> None:
    with pytest.raises(ModelNotFoundError, match="edgeai models pull whisper-base"):
        session.transcribe(np.zeros(16_000, np.float32))


def test_what_is_no_sound_is_told_before_weights_are_looked_for(session: Session, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="empty audio"):
        session.transcribe(np.zeros(0, np.float32))
    with pytest.raises(AudioError, match="no such file"):
        session.transcribe(tmp_path / "missing.wav")
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(AudioError, match="no sound or video file"):
        session.transcribe(tmp_path / "text.wav")
