"""The sound of the speech benchmarks: sentences by two voices a language, clean and in noise, alone and in a row.

hibari-tts and Open JTalk have one voice each in their packages. The second one of Japanese is Kokoro's where its
weights are installed (`edgeai models pull kokoro-ja`). Else, and in English, it is the first one made deeper: spoken
faster and played slower, which lowers its pitch and its formants alike, as a larger body does. It is no other person,
and the tables call it so ("deeper").
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgeai.speech.hibari import HibariVoice
from edgeai.speech.kokoro import KokoroVoice
from edgeai.speech.openjtalk import OpenJTalkVoice
from edgeai.speech.types import SAMPLE_RATE_HZ
from edgeai.speech.waveform import resample
from edgeai.speech.weights import installed_speech
from edgeai.toml_text import read_toml

if TYPE_CHECKING:
    from edgeai.speech.base import Voice
    from edgeai.speech.types import Waveform

SENTENCES_PATH = Path(__file__).parent / "data" / "speech_sentences.toml"
LANGUAGES = ("en", "ja")
SNR_DB = 10.0
CONDITIONS = ("clean", f"pink noise, {SNR_DB:.0f} dB")
KOKORO = "kokoro-ja"
_DEEPER = 0.84
_BEFORE_S, _AFTER_S = 0.3, 0.5
_PAUSES_S = (0.3, 2.5)


class Sentence(NamedTuple):
    """What a voice reads, and what a transcript of it says."""

    spoken: str
    reference: str


class Utterance(NamedTuple):
    """A sentence as one voice has read it, in one condition; the waveform is at 16 kHz."""

    language: str
    voice: str
    condition: str
    reference: str
    waveform: Waveform


class DeeperVoice:
    """A voice whose pitch and formants are lower, at the same pace."""

    def __init__(self, voice: Voice) -> None:
        """The voice must speak 1 / _DEEPER as fast as it is to sound."""
        self.name = f"{voice.name}, deeper"
        self.language = voice.language
        self.sample_rate_hz = voice.sample_rate_hz
        self._voice = voice

    def load(self) -> None:
        """Load its weights."""
        self._voice.load()

    def synthesize(self, sentence: str) -> Waveform:
        """[n_samples], mono, range -1..1."""
        return resample(self._voice.synthesize(sentence), _DEEPER * self.sample_rate_hz, self.sample_rate_hz)

    def close(self) -> None:
        """Free its memory."""
        self._voice.close()


@cache
def _data() -> dict[str, Any]:
    return read_toml(SENTENCES_PATH)


def sentences(language: str, n: int | None = None) -> list[Sentence]:
    """The first n sentences of a language, or all."""
    return [Sentence(**entry) for entry in _data()[language][:n]]


def questions(language: str) -> list[Waveform]:
    """Questions of about three seconds, by the language's first voice, 16 kHz."""
    voice = voices(language)[0]
    return [spoken(voice, question) for question in _data()["questions"][language]]


@cache
def voices(language: str) -> tuple[Voice, ...]:
    """Two voices."""
    if language == "en":
        return HibariVoice(), DeeperVoice(HibariVoice(rate=1 / _DEEPER))
    if KOKORO in installed_speech():
        return OpenJTalkVoice(), KokoroVoice("jm_kumo")
    return OpenJTalkVoice(), DeeperVoice(OpenJTalkVoice(rate=1 / _DEEPER))


def spoken(voice: Voice, sentence: str) -> Waveform:
    """A sentence, [n_samples] at 16 kHz."""
    return resample(voice.synthesize(sentence), voice.sample_rate_hz)


def utterances(n_sentences: int, languages: Sequence[str] = LANGUAGES) -> Iterator[Utterance]:
    """Every sentence by every voice in every condition, with a moment of silence, or of noise, around it."""
    for language in languages:
        for voice in voices(language):
            for sentence in sentences(language, n_sentences):
                waveform = spoken(voice, sentence.spoken)
                seed = zlib.crc32(f"{voice.name} {sentence.spoken}".encode())
                for condition, sound in zip(CONDITIONS, (around(waveform), noisy(waveform, seed)), strict=True):
                    yield Utterance(language, voice.name, condition, sentence.reference, sound)


def around(waveform: Waveform) -> Waveform:
    """With silence before it and after it."""
    return np.pad(waveform, (round(_BEFORE_S * SAMPLE_RATE_HZ), round(_AFTER_S * SAMPLE_RATE_HZ)))


def noisy(waveform: Waveform, seed: int, snr_db: float = SNR_DB) -> Waveform:
    """In pink noise, which is before it and after it too. The ratio is that of the mean powers while it is spoken."""
    padded = around(waveform)
    noise = pink_noise(len(padded), seed)
    power = float(np.mean(waveform**2)) / 10 ** (snr_db / 10)
    mixed = padded + noise * np.sqrt(power)
    scaled: Waveform = (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)
    return scaled


def pink_noise(n: int, seed: int) -> Waveform:
    """[n], of power 1, which falls by 3 dB an octave from 20 Hz on."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    frequencies = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ), 20.0)
    noise = np.fft.irfft(spectrum / np.sqrt(frequencies), n)
    pink: Waveform = (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)
    return pink


def recording(language: str, duration_s: float) -> tuple[Waveform, str]:
    """All sentences by one voice, then by the other in another order, and so on, with pauses; and what is said in it.

    No sentence follows itself: Whisper takes that for one.

    Returns:
        [n_samples] at 16 kHz, as long as asked for or up to a sentence longer; the references in a row.
    """
    pieces: list[Waveform] = []
    said: list[str] = []
    n_samples = 0
    for reference, waveform in _read(language):
        if n_samples >= duration_s * SAMPLE_RATE_HZ:
            break
        pieces.append(waveform)
        said.append(reference)
        n_samples += len(waveform)
    return np.concatenate(pieces), " ".join(said)


def _read(language: str) -> Iterator[tuple[str, Waveform]]:
    """References and waveforms, each with a pause behind it, without end."""
    rng = np.random.default_rng(1)
    chosen = sentences(language)
    while True:
        for voice in voices(language):
            for at in rng.permutation(len(chosen)):
                pause_s = rng.uniform(*_PAUSES_S)
                waveform = spoken(voice, chosen[at].spoken)
                yield chosen[at].reference, np.pad(waveform, (0, round(pause_s * SAMPLE_RATE_HZ)))
