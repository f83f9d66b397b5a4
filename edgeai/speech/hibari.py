"""English voices of hibari-tts: a small vocoder network on ONNX Runtime, over a hundred times as fast as speech."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import ModelNotFoundError, OptionError
from edgeai.speech.voice_checks import check_rate, checked_waveform, import_engine

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

_PACKAGE = "hibari-tts"


class HibariVoice:
    """An English voice. Its weights are loaded by the first sentence."""

    language = "en"
    sample_rate_hz = 24_000

    def __init__(self, speaker: str = "heart", *, rate: float = 1.0, seed: int = 0, n_threads: int = 1) -> None:
        """Choose a voice.

        Args:
            speaker: one of the package's; all but "heart" are files of their own, which nothing here downloads.
            rate: 0.5 (slow) to 2.0 (fast).
            seed: of the noise in it: the same sentence sounds the same again.
            n_threads: one is enough.
        Raises:
            OptionError: the rate makes no sense.
        """
        self.name = f"hibari-{speaker}"
        self._speaker = speaker
        self._rate = check_rate(rate)
        self._seed = seed
        self._n_threads = n_threads
        self._engine: Any = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """See Voice: a word is spoken, as the first one takes longest."""
        if self._engine is None:
            self.synthesize("Yes.")

    def synthesize(self, sentence: str) -> Waveform:
        """Speak one sentence, in words that can be read out; [n_samples], mono, range -1..1.

        Raises:
            OptionError: the package is missing, or has no such speaker.
            ModelNotFoundError: the speaker's weights are not here.
            AudioError: there is nothing in the sentence that can be spoken.
        """
        with self._lock:
            if self._engine is None:
                self._engine = self._load()
            samples = self._engine(sentence, speed=self._rate, seed=self._seed)
        return checked_waveform(samples, self.name, sentence)

    def close(self) -> None:
        """Free its memory. May be called twice."""
        self._engine = None

    def _load(self) -> Any:
        hibari = import_engine("hibari", _PACKAGE)
        voices = import_engine("hibari.voices", _PACKAGE)
        if self._speaker not in voices.VOICES:
            known = ", ".join(voices.VOICES)
            raise OptionError(f"voice {self.name!r}: hibari has no such speaker: choose one of {known}")
        try:
            path = voices.voice_path(self._speaker, download_missing=False)
        except FileNotFoundError as exc:
            raise ModelNotFoundError(
                f"{exc}: the weights of the voice {self.name} are not there: put them there, or choose hibari-heart"
            ) from exc
        return hibari.Hibari(self._speaker, model=str(Path(path)), threads=self._n_threads)
