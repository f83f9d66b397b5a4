"""Text to speech, sentence by sentence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeai.errors import AudioError, OptionError
from edgeai.speech.base import Voice
from edgeai.speech.speak import VoicesAhead, speak

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


class FakeVoice:
    """Makes a tenth of a second of a letter's tone, and remembers what it was told to say."""

    sample_rate_hz = 8000

    def __init__(self, language: str) -> None:
        self.name = f"fake-{language}"
        self.language = language
        self.said: list[str] = []

    def load(self) -> None:
        pass

    def synthesize(self, sentence: str) -> Waveform:
        self.said.append(sentence)
        return np.full(800, 0.5, dtype=np.float32)

    def close(self) -> None:
        pass


@pytest.fixture
def voices() -> dict[str, Voice]:
    return {"en": FakeVoice("en"), "ja": FakeVoice("ja")}


def test_each_sentence_is_read_by_the_voice_of_its_language(voices: dict[str, Voice]) -> None:
    made = list(speak("It is warm. 今日は暖かいです。 Let us go. 42.", voices))
    assert [(speech.text, speech.language) for speech in made] == [
        ("It is warm.", "en"),
        ("今日は暖かいです。", "ja"),
        ("Let us go.", "en"),
        ("42.", "en"),
    ]
    assert all(speech.sample_rate_hz == 8000 and speech.duration_s == 0.1 for speech in made)


def test_a_sentence_is_spoken_before_the_next_is_written(voices: dict[str, Voice]) -> None:
    n_asked = 0

    def pieces() -> Iterator[str]:
        nonlocal n_asked
        for piece in ["One", " day", ".", " And", " then", " more", " of", " it", "."]:
            n_asked += 1
            yield piece

    spoken = speak(pieces(), voices)
    assert next(spoken).text == "One day."
    assert n_asked == 4, "the first word of the next sentence shows that this one has ended"
    assert [speech.text for speech in spoken] == ["And then more of it."]


def test_code_and_tables_are_announced_once_each(voices: dict[str, Voice]) -> None:
    text = "See:\n```\na = 1.\n```\n```\nb\n```\n| a |\n|---|\n| 1 |\n\nDone."
    assert [speech.spoken for speech in speak(text, voices)] == ["See:", "A code block.", "A table.", "Done."]


def test_a_language_without_a_voice_is_named_and_the_rest_is_spoken(voices: dict[str, Voice]) -> None:
    told: list[str] = []
    text = "Hello. Привет. Пока. 안녕하세요. Goodbye."
    assert [speech.text for speech in speak(text, voices, on_skipped=told.append)] == ["Hello.", "Goodbye."]
    assert told == [
        "no voice here speaks Russian: expected text in English or Japanese",
        "no voice here speaks Korean: expected text in English or Japanese",
    ]


def test_a_text_in_no_language_that_is_spoken_is_an_error(voices: dict[str, Voice]) -> None:
    with pytest.raises(OptionError, match="no voice here speaks Arabic"):
        list(speak("مرحبا بالعالم", voices))
    with pytest.raises(OptionError, match="no voice here speaks French"):
        speak("Bonjour", voices, language="fr")
    with pytest.raises(OptionError, match="voices is empty"):
        speak("Hello", {})


@pytest.mark.parametrize(
    "text", ["", " \n\t ", "😀🎉", "***", "\x1b[31m\x1b[0m", "\u200b\u202e", "---", "<speak></speak>"]
)
def test_a_text_with_nothing_to_say_is_an_error(text: str, voices: dict[str, Voice]) -> None:
    with pytest.raises(AudioError, match="expected words") as caught:
        list(speak(text, voices))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_word_of_a_hundred_thousand_letters_is_left_out_in_one_line(voices: dict[str, Voice]) -> None:
    told: list[str] = []
    made = list(speak(f"Before it. {'x' * 100_000} and after it.", voices, on_skipped=told.append))
    assert [speech.spoken for speech in made] == ["Before it.", "and after it."]
    assert told == ["a word of more than 60 letters is left out"]
    with pytest.raises(AudioError, match="a word of more than 60 letters"):
        list(speak("x" * 100_000, voices))


def test_the_language_can_be_told(voices: dict[str, Voice]) -> None:
    assert [speech.language for speech in speak("USB 2.0", voices, language="ja")] == ["ja"]


def test_the_voice_of_an_answer_is_loaded_ahead_and_once() -> None:
    loaded = list[str]()

    class Loading(FakeVoice):
        def load(self) -> None:
            loaded.append(self.language)
            raise AudioError("no matter")

    ahead = VoicesAhead({"en": Loading("en"), "ja": Loading("ja")})
    for words in ("42", "Why is the sea", "Why is the sea salty", "海の水は"):
        ahead.expect(words)
    for thread in threading.enumerate():
        if thread.name == "edgeai-voice-load":
            thread.join()
    assert sorted(loaded) == ["en", "ja"]
