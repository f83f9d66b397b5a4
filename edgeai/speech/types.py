"""What speech is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Waveform: TypeAlias = NDArray[np.float32]
    """[n_samples], mono, range -1..1."""

SAMPLE_RATE_HZ = 16_000
"""Of all speech that is listened to."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or in Japanese a piece of one, and when it is said.

    Attributes:
        text: as it is written, with the space before it where there is one.
        start_s: from the beginning of the audio.
        end_s: the same.
        probability: 0..1, the recognizer's own.
    """

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech.

    Attributes:
        text: what is said, without spaces around it.
        start_s: from the beginning of the audio.
        end_s: the same.
        language: ISO 639-1.
        words: where the recognizer tells them and they were asked for.
    """

    text: str
    start_s: float
    end_s: float
    language: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a recording.

    Attributes:
        text: all of it; "" where nothing is said.
        language: ISO 639-1, of most of the speech; "" where nothing is said.
        segments: in their order.
        duration_s: of the recording.
    """

    text: str
    language: str
    segments: tuple[Segment, ...]
    duration_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A sentence, spoken.

    Attributes:
        text: as it stands in the text that was to be spoken.
        spoken: as it was read out: numbers and units in words, marks left out.
        waveform: [n_samples], mono, range -1..1.
        sample_rate_hz: of the waveform.
        language: ISO 639-1.
    """

    text: str
    spoken: str
    waveform: Waveform
    sample_rate_hz: int
    language: str

    @property
    def duration_s(self) -> float:
        """How long it sounds."""
        return len(self.waveform) / self.sample_rate_hz
