"""Sound for the tests of hearing, and a recognizer that tells what it was given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeai.speech.base import Recognized, Recognizer
from edgeai.speech.types import SAMPLE_RATE_HZ, Segment
from edgeai.speech.waveform import resample
from tests.conftest import REAL_MODELS

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

ENGLISH = "Please turn off the lights in the living room."
JAPANESE = "来週の土曜日に友達と映画を見に行きます。"


@cache
def english() -> Waveform:
    """ENGLISH, by hibari."""
    from edgeai.speech.hibari import HibariVoice

    voice = HibariVoice()
    return resample(voice.synthesize(ENGLISH), voice.sample_rate_hz)


@cache
def japanese() -> Waveform:
    """JAPANESE, by Open JTalk."""
    from edgeai.speech.openjtalk import OpenJTalkVoice

    voice = OpenJTalkVoice()
    return resample(voice.synthesize(JAPANESE), voice.sample_rate_hz)


def silence(seconds: float) -> Waveform:
    """Nothing."""
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


def without_speech(seconds: float) -> dict[str, Waveform]:
    """Sounds in which nobody speaks."""
    rng = np.random.default_rng(7)
    n = round(seconds * SAMPLE_RATE_HZ)
    t = np.arange(n) / SAMPLE_RATE_HZ
    white = rng.standard_normal(n)
    spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(1, np.arange(n // 2 + 1)))
    pink = np.fft.irfft(spectrum, n)
    chord = sum(np.sin(2 * np.pi * hz * t) for hz in (261.6, 329.6, 392.0)) * np.exp(-4 * (t % 0.5))
    sounds = {
        "silence": np.zeros(n),
        "white noise": 0.1 * white,
        "quiet noise": 0.002 * white,
        "pink noise": 0.1 * pink / pink.std(),
        "a tone": 0.3 * np.sin(2 * np.pi * 440 * t),
        "a sweep": 0.3 * np.sin(2 * np.pi * (100 * t + 3000 / seconds / 2 * t * t)),
        "chords": 0.2 * chord,
        "clicks": 0.8 * (np.arange(n) % 8000 < 20),
    }
    return {name: sound.astype(np.float32) for name, sound in sounds.items()}


def whisper_folder(name: str = "whisper-base") -> Path:
    """Where the real weights are."""
    folder = REAL_MODELS / name
    if not (folder / "model.bin").is_file():
        pytest.fail(f"the weights of speech are not installed: run `edgeai models pull {name}`")
    return folder


class FakeRecognizer:
    """Says of each window how loud it is: the sounds of the tests differ by that.

    Attributes:
        asked: the language of each call, and how many windows.
        fails_at: the call that is interrupted.
    """

    name = "fake"
    n_workers = 1
    languages = ("en", "ja")

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[tuple[str | None, int]] = []
        self.fails_at = fails_at

    def recognize(
        self, waveforms: Sequence[Waveform], language: str | None = None, *, with_words: bool = False
    ) -> list[Recognized]:
        """A segment from the beginning to the end of each window."""
        if self.fails_at == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append((language, len(waveforms)))
        return [self._heard(waveform, language or "en") for waveform in waveforms]

    def close(self) -> None:
        """Nothing to free."""

    def _heard(self, waveform: Waveform, language: str) -> Recognized:
        text = f"peak {round(100 * float(np.abs(waveform).max()))}"
        return Recognized(language, (Segment(text, 0.0, len(waveform) / SAMPLE_RATE_HZ, language),))


def instead_of_whisper(monkeypatch: pytest.MonkeyPatch) -> FakeRecognizer:
    """What commands load as their recognizer until the test's end."""
    fake = FakeRecognizer()

    def load(name: str | None = None) -> Recognizer:
        return fake

    monkeypatch.setattr("edgeai.speech.engines.load_recognizer", load)
    return fake
