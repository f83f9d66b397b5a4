"""Sound in a question: a model that hears gets it, another gets its words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeai import AudioError, ContextOverflowError, Message, ModelNotFoundError, OptionError, Session
from edgeai.media import SOUND_RATE_HZ
from edgeai.speech.asked_aloud import model_sound
from edgeai.speech.types import Transcript
from edgeai.speech.wav import write_wav
from tests.fakes import FakeBackend

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


def tone(hz: float, seconds: float = 1.0) -> Waveform:
    times = np.arange(int(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def said(text: str) -> Any:
    return lambda _audio: Transcript(text, "en", (), 1.0)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    write_wav(tmp_path / "tone.wav", [tone(440)], SOUND_RATE_HZ)
    return tmp_path / "tone.wav"


def test_a_model_that_hears_gets_files_and_samples(wav: Path) -> None:
    backend = FakeBackend(hears=True)
    session = Session(backend=backend)
    session.chat("Which is higher?", audio=[wav, tone(220)]).wait()
    one, other = backend.requests[0].media
    assert one.duration_s == other.duration_s == 1
    assert np.allclose(np.frombuffer(one.data, "<f4"), tone(440), atol=1e-4)
    assert other.data == tone(220).tobytes()
    assert session.messages[0] == Message("user", "Which is higher?", media=(one, other))
    session.chat("And why?").wait()
    assert backend.requests[1].media == (one, other)


def test_a_question_may_be_sound_alone() -> None:
    backend = FakeBackend(hears=True)
    Session(backend=backend).chat(audio=[tone(440)]).wait()
    assert "user\n[♪♪♪]<|im_end|>" in backend.detokenize(backend.requests[0].tokens)


def test_another_model_gets_the_words(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackend()
    session = Session(backend=backend)
    monkeypatch.setattr(session, "transcribe", said(" What is an atom? "))
    session.chat("In one sentence.", audio=[wav]).wait()
    session.chat(audio=[tone(440)]).wait()
    assert session.messages[0] == Message("user", "What is an atom?\n\nIn one sentence.")
    assert session.messages[2] == Message("user", "What is an atom?")
    assert backend.requests[0].media == ()


def test_where_nothing_is_said_the_model_is_not_asked(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackend()
    session = Session(backend=backend)
    monkeypatch.setattr(session, "transcribe", said(""))
    with pytest.raises(AudioError, match=r"tone\.wav: nothing is said in it"):
        session.chat("What is it?", audio=[wav])
    assert backend.requests == []
    assert session.messages == []


@pytest.mark.parametrize("audio", ["a.wav", Path("a.wav"), np.zeros(9)])
def test_one_sound_is_no_list(audio: Any) -> None:
    with pytest.raises(OptionError, match=r"audio=\[sound\]"):
        Session(backend=FakeBackend(hears=True)).chat("?", audio=audio)


def test_wrong_sounds_change_nothing(tmp_path: Path) -> None:
    backend = FakeBackend(n_ctx=200, hears=True)
    session = Session(backend=backend)
    (tmp_path / "no.wav").write_bytes(b"no sound")
    for audio in ([tmp_path / "gone.wav"], [tmp_path / "no.wav"], [np.zeros((2, 2, 2))], [np.array([np.nan])]):
        with pytest.raises(AudioError):
            session.chat("?", audio=audio)
    with pytest.raises(OptionError, match="audio or messages="):
        session.chat(messages=[Message("user", "?")], audio=[tone(440)])
    with pytest.raises(ContextOverflowError):
        session.chat("?", audio=[tone(440, 100)])
    assert (session.messages, backend.requests) == ([], [])


def test_a_file_of_hours_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeai.speech.asked_aloud.MAX_SOUND_S", 2)
    write_wav(tmp_path / "long.wav", [np.zeros(5 * SOUND_RATE_HZ, np.float32)], SOUND_RATE_HZ)
    with pytest.raises(AudioError, match=r"long\.wav: longer than 2 s"):
        model_sound(tmp_path / "long.wav")


def test_a_file_of_one_sample_is_no_sound(tmp_path: Path) -> None:
    write_wav(tmp_path / "click.wav", [np.ones(1, np.float32)], SOUND_RATE_HZ)
    with pytest.raises(AudioError, match=r"click\.wav: .*expected"):
        model_sound(tmp_path / "click.wav")


def test_without_weights_the_error_names_the_command(wav: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="edgeai models pull whisper-base"):
        Session(backend=FakeBackend()).chat(audio=[wav])
