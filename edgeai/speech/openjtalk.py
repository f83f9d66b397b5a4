"""The Japanese voice "mei" of Open JTalk: quick and small, and it sounds like a machine.

HTS voice "Mei", © 2009-2013 Nagoya Institute of Technology, Department of Computer Science, licensed CC-BY 3.0.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from edgeai.speech.voice_checks import check_rate, checked_waveform, import_engine

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

PACKAGE = "pyopenjtalk-plus"
FRONTEND = {"use_sudachi_kanji_yomi": False}
"""Open JTalk's own dictionary tells the readings: the other one is 77 MB and takes a second to load."""
_FULL_SCALE = 32768.0
_LOCK = threading.Lock()
"""The engine is one for the whole process, and so is its speed."""


class OpenJTalkVoice:
    """A Japanese voice. Its dictionary and weights are loaded by the first sentence."""

    name = "openjtalk-mei"
    language = "ja"
    sample_rate_hz = 48_000

    def __init__(self, *, rate: float = 1.0) -> None:
        """Choose how fast it speaks: 0.5 (slow) to 2.0 (fast).

        Raises:
            OptionError: the rate makes no sense.
        """
        self._rate = check_rate(rate)
        self._engine: Any = None

    def load(self) -> None:
        """See Voice: a word is spoken, as the first one takes longest."""
        if self._engine is None:
            self.synthesize("はい。")

    def synthesize(self, sentence: str) -> Waveform:
        """Speak one sentence, in words that can be read out; [n_samples], mono, range -1..1.

        Raises:
            OptionError: the package is missing.
            AudioError: there is nothing in the sentence that can be spoken.
        """
        if self._engine is None:
            self._engine = import_engine("pyopenjtalk", PACKAGE)
        with _LOCK:
            samples, _ = self._engine.tts(sentence, speed=self._rate, **FRONTEND)
        return checked_waveform(samples / _FULL_SCALE, self.name, sentence)

    def close(self) -> None:
        """Let go of it. The dictionary is the process's and stays."""
        self._engine = None
