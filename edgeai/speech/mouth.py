"""A mouth: speaks sentence by sentence through a sink, knows what has been heard of it, and stops at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from edgeai.errors import AudioDeviceError, EdgeAIError
from edgeai.speech.speak import OnSkipped, speak
from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.speech.base import AudioSink, Voice
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

    def read_out(
        self,
        text: Iterable[str],
        voices: Mapping[str, Voice],
        *,
        on_sentence: Callable[[Speech], object] = lambda speech: None,
        on_skipped: OnSkipped | None = None,
    ) -> bool:
        """Speak a text while it is made; whether nobody stopped it.

        Args:
            text: in pieces, as a model makes them.
            voices: by language; see `edgeai.speech.speak.speak`.
            on_sentence: told of each, before it sounds.
            on_skipped: told in one line what is not spoken, and why.
        Raises:
            AudioDeviceError: the speaker is gone.
            EdgeAIError: nothing can be spoken, or the text ended in an error; what came before it has sounded.
        """
        try:
            for speech in speak(text, voices, on_skipped=on_skipped):
                on_sentence(speech)
                if not self.say(speech):
                    return False
        except AudioDeviceError:
            raise
        except EdgeAIError:
            self.drain()
            raise
        return self.drain()

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
            self._n_written = self._sink.n_played  # they may differ by what a change of the rate rounds
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
