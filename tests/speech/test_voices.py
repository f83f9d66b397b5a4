"""Voices are chosen by name, by an application too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeai.errors import OptionError
from edgeai.speech.engines import RECOGNIZERS, SpeechEngines, chosen_recognizer
from edgeai.speech.voices import DEFAULT_VOICES, choose_voices, known_voices, make_voice
from tests.fakes import FakeBackend

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


class Beeper:
    """A voice of an application's own."""

    name = "beeper"
    sample_rate_hz = 8000

    def __init__(self, language: str = "ja") -> None:
        self.language = language
        self.is_closed = False

    def load(self) -> None:
        pass

    def synthesize(self, sentence: str) -> Waveform:
        return np.full(800, 0.5, dtype=np.float32)

    def close(self) -> None:
        self.is_closed = True


def test_each_language_has_a_voice() -> None:
    assert [voice.name for voice in choose_voices().values()] == list(DEFAULT_VOICES)
    chosen = choose_voices(["Kokoro-jm_kumo"], rate=1.5)
    assert {language: voice.name for language, voice in chosen.items()} == {
        "en": "hibari-heart",
        "ja": "kokoro-jm_kumo",
    }


def test_every_known_voice_can_be_made_and_says_what_it_is() -> None:
    for facts in known_voices():
        voice = make_voice(facts.name)
        assert (voice.name, voice.language, voice.sample_rate_hz) == (facts.name, facts.language, facts.sample_rate_hz)
        assert facts.licence_url.startswith("https://")
        assert facts.credit


def test_the_size_of_mei_is_that_of_its_file() -> None:
    import pyopenjtalk

    (facts,) = [facts for facts in known_voices() if facts.name == "openjtalk-mei"]
    assert Path(pyopenjtalk.DEFAULT_HTS_VOICE.decode()).stat().st_size == facts.size_bytes


def test_an_application_brings_its_own_voice() -> None:
    from edgeai import Session

    session = Session(backend=FakeBackend())
    beeper = Beeper()
    session.speech.choose_voices([beeper])
    assert len(session.speak("はい。").waveform) == 2400
    session.speech.choose_voices([])
    assert beeper.is_closed
    assert session.speech.voices()["ja"].name == "openjtalk-mei"
    assert SpeechEngines(voices=[beeper]).voices()["ja"] is beeper


def test_wrong_choices_are_errors() -> None:
    with pytest.raises(OptionError, match="both speak 'ja'"):
        choose_voices(["openjtalk-mei", Beeper()])
    with pytest.raises(OptionError, match="speaks 'fr': expected one of en, ja"):
        choose_voices([Beeper("fr")])
    with pytest.raises(OptionError, match="no voice is called 'kokoro'"):
        SpeechEngines(voices=["kokoro"])


def test_the_first_weights_to_pull_hear_all_languages() -> None:
    assert chosen_recognizer() == RECOGNIZERS[0] == "whisper-base"
