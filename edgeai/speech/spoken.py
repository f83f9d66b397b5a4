"""A text that is being spoken, as a session gives it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeai.speech.types import Speech

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

SAMPLE_RATE_HZ = 24_000
"""Of a whole text, whose sentences may have several."""


class Spoken:
    """Iterate it for sentences, each made when it is asked for; or take all of it as one waveform.

    Attributes:
        sample_rate_hz: of `waveform`.
    """

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, sentences: Iterator[Speech]) -> None:
        self._sentences = sentences
        self._made: list[Speech] = []

    def __iter__(self) -> Iterator[Speech]:
        """Sentences, from the first on."""
        n_given = 0
        while True:
            while n_given < len(self._made):
                n_given += 1
                yield self._made[n_given - 1]
            if (speech := next(self._sentences, None)) is None:
                return
            self._made.append(speech)

    @property
    def waveform(self) -> Waveform:
        """All of it, [n_samples], mono, range -1..1, at `sample_rate_hz`."""
        import numpy as np

        return np.concatenate(list(self._waveforms()))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a WAV file, whole or not at all, sentence by sentence.

        Raises:
            AudioError: it cannot be written.
        """
        from edgeai.speech.wav import write_wav

        write_wav(path, self._waveforms(), self.sample_rate_hz)

    def _waveforms(self) -> Iterator[Waveform]:
        from edgeai.speech.waveform import resample

        for speech in self:
            yield resample(speech.waveform, speech.sample_rate_hz, self.sample_rate_hz)
