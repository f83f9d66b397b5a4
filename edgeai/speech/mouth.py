"""A mouth: speaks sentence by sentence through a sink, knows what has been heard of it, and stops at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.speech.base import AudioSink
    from edgeai.speech.types import Speech, Waveform

_PIECE_S = 0.02
"""So much is given to the sink at once: what was given can only be dropped by the sink."""


class Mouth:
    """Speaks through one sink. `stop` may come from any thread."""

    def __init__(self, sink: AudioSink) -> None:
        self._sink = sink
        self._stopped = threading.Event()
        self._ends: list[tuple[int, str]] = []  # where a sentence ends, in samples of the sink, and its text
        self._n_written = 0

    @property
    def is_speaking(self) -> bool:
        """Something is sounding, or is about to."""
        return self._sink.n_played < self._n_written and not self._stopped.is_set()

    def begin(self) -> None:
        """Another answer."""
        self._stopped.clear()
        self._ends.clear()
        self._n_written = self._sink.n_played

    def say(self, speech: Speech) -> bool:
        """Speak a sentence after those before; whether nobody stopped it."""
        for piece in self._pieces(speech):
            if self._stopped.is_set():
                return False
            self._n_written += len(piece)
            self._sink.write(piece)
        self._ends.append((self._n_written, speech.text))
        return not self._stopped.is_set()

    def drain(self) -> bool:
        """Wait until all has sounded; whether nobody stopped it."""
        if not self._stopped.is_set():
            self._sink.drain()
        return not self._stopped.is_set()

    def stop(self) -> None:
        """Be silent at once."""
        self._stopped.set()
        self._n_written -= self._sink.stop()

    @property
    def said(self) -> str:
        """The sentences that have sounded to their end."""
        n_played = self._sink.n_played
        return " ".join(text for end, text in self._ends if end <= n_played)

    def _pieces(self, speech: Speech) -> Iterator[Waveform]:
        import numpy as np

        resampler = Resampler(speech.sample_rate_hz, self._sink.sample_rate_hz)
        waveform = np.concatenate([resampler.push(speech.waveform), resampler.finish()])
        n_samples = max(1, round(_PIECE_S * self._sink.sample_rate_hz))
        for start in range(0, len(waveform), n_samples):
            yield waveform[start : start + n_samples]
