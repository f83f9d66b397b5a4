"""The engines of speech of a session: each is loaded when it is first used, and freed on request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from edgeai.errors import ModelNotFoundError
from edgeai.machine import usable_cores

if TYPE_CHECKING:
    from edgeai.speech.base import Recognizer, Voice

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
