"""The engines of speech of a session: each is loaded when it is first used, and freed on request."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from edgeai.errors import ModelNotFoundError
from edgeai.machine import usable_cores
from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from edgeai.speech.base import Recognizer, Voice
    from edgeai.speech.spoken import Spoken
    from edgeai.speech.types import Transcript

RECOGNIZERS = ("whisper-base", "whisper-tiny-en")
"""Weights of speech-to-text in the order in which they are taken."""


class SpeechEngines:
    """A recognizer and voices. Any thread may ask for them."""

    def __init__(self, *, recognizer: str | None = None, n_threads: int | None = None) -> None:
        """Nothing is loaded yet.

        Args:
            recognizer: the name of weights, as `edgeai models` lists them; None takes the best that is installed.
            n_threads: that transcribe; None takes all cores.
        """
        self._recognizer_name = recognizer
        self._n_threads = n_threads
        self._lock = threading.Lock()
        self._recognizer: Recognizer | None = None
        self._voices: dict[str, Voice] = {}

    def recognizer(self) -> Recognizer:
        """The speech-to-text engine.

        Raises:
            ModelNotFoundError: its weights are not installed, or the extra `speech`.
        """
        with self._lock:
            if self._recognizer is None:
                self._recognizer = load_recognizer(self._recognizer_name, self._n_threads)
            return self._recognizer

    def voices(self) -> dict[str, Voice]:
        """A voice for each language, by ISO 639-1 code. Their weights are loaded by their first sentences."""
        from edgeai.speech.hibari import HibariVoice
        from edgeai.speech.openjtalk import OpenJTalkVoice

        with self._lock:
            if not self._voices:
                self._voices = {"en": HibariVoice(), "ja": OpenJTalkVoice()}
            return dict(self._voices)

    def transcribe(
        self,
        audio: str | os.PathLike[str] | ArrayLike,
        language: str = "auto",
        *,
        sample_rate_hz: float = SAMPLE_RATE_HZ,
        with_words: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> Transcript:
        """See `edgeai.Session.transcribe`."""
        from edgeai.speech.decode import sound_of
        from edgeai.speech.transcribe import transcribe
        from edgeai.speech.waveform import to_waveform

        options: dict[str, Any] = {"with_words": with_words, "on_progress": on_progress}
        if not isinstance(audio, (str, os.PathLike)):
            waveform = to_waveform(audio, sample_rate_hz)
            return transcribe(waveform, self.recognizer(), language, **options)
        with sound_of(audio) as sound:
            return transcribe(sound, self.recognizer(), language, **options)

    def speak(self, text: str | Iterable[str], language: str | None = None) -> Spoken:
        """See `edgeai.Session.speak`."""
        from edgeai.speech.speak import speak
        from edgeai.speech.spoken import Spoken

        return Spoken(speak(text, self.voices(), language=language))

    def release(self) -> None:
        """Free the memory of all engines; the next use loads them again."""
        with self._lock:
            if self._recognizer is not None:
                self._recognizer.close()
                self._recognizer = None
            for voice in self._voices.values():
                voice.close()
            self._voices = {}


def load_recognizer(name: str | None = None, n_threads: int | None = None) -> Recognizer:
    """Load speech-to-text weights; see SpeechEngines.

    Raises:
        ModelNotFoundError: they are not installed, or the extra `speech`.
    """
    from edgeai.speech.weights import installed_speech, weights_dir
    from edgeai.speech.whisper import WhisperRecognizer

    if name is None:
        installed = installed_speech()
        name = next((known for known in RECOGNIZERS if known in installed), RECOGNIZERS[0])
    if name not in RECOGNIZERS:
        raise ModelNotFoundError(f"{name[:80]!r} are no weights that transcribe: expected {' or '.join(RECOGNIZERS)}")
    return WhisperRecognizer(weights_dir(name), n_threads=n_threads or usable_cores())
