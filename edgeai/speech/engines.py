"""The engines of speech of a session: each is loaded when it is first used, and freed on request."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from edgeai.errors import ModelNotFoundError
from edgeai.free_memory import return_memory
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

    def __init__(
        self, *, recognizer: str | None = None, voices: Iterable[str | Voice] = (), n_threads: int | None = None
    ) -> None:
        """Nothing is loaded yet.

        Args:
            recognizer: the name of weights, as `edgeai models` lists them; None takes the best that is installed.
            voices: see `choose_voices`.
            n_threads: that transcribe; None takes all cores.
        Raises:
            OptionError: see `choose_voices`.
        """
        self._recognizer_name = recognizer
        self._n_threads = n_threads
        self._lock = threading.Lock()
        self._recognizer: Recognizer | None = None
        self._voices: dict[str, Voice] = {}
        self._chosen: tuple[str | Voice, ...] = ()
        if voices:
            self.choose_voices(voices)

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
        from edgeai.speech.voices import choose_voices

        with self._lock:
            if not self._voices:
                self._voices = choose_voices(self._chosen)
            return dict(self._voices)

    def choose_voices(self, voices: Iterable[str | Voice]) -> None:
        """Speak with other voices from the next text on, such as `["kokoro-jf_alpha"]`.

        Args:
            voices: names, as `edgeai say --list-voices` shows them, or voices of your own; one a language. A language
                without one has its default.
        Raises:
            OptionError: no voice is called so, two speak one language, or its text cannot be read out here.
        """
        from edgeai.speech.voices import choose_voices

        chosen = tuple(voices)
        made = choose_voices(chosen)
        with self._lock:
            self._close_voices()
            self._chosen, self._voices = chosen, made

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
            self._close_voices()
        return_memory()

    def _close_voices(self) -> None:
        for voice in self._voices.values():
            voice.close()
        self._voices = {}


def chosen_recognizer(name: str | None = None) -> str:
    """The name of the weights that transcribe: the best that is installed where none is named, else the first to pull.

    Raises:
        ModelNotFoundError: no weights that transcribe are called so.
    """
    from edgeai.speech.weights import installed_speech

    if name is None:
        installed = installed_speech()
        return next((known for known in RECOGNIZERS if known in installed), RECOGNIZERS[0])
    if name not in RECOGNIZERS:
        raise ModelNotFoundError(f"{name[:80]!r} are no weights that transcribe: expected {' or '.join(RECOGNIZERS)}")
    return name


def load_recognizer(name: str | None = None, n_threads: int | None = None) -> Recognizer:
    """Load speech-to-text weights; see SpeechEngines.

    Raises:
        ModelNotFoundError: they are not installed, or the extra `speech`.
    """
    from edgeai.speech.weights import weights_dir
    from edgeai.speech.whisper import WhisperRecognizer

    return WhisperRecognizer(weights_dir(chosen_recognizer(name)), n_threads=n_threads or usable_cores())
