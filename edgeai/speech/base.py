"""What engines of speech, microphones and speakers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgeai.speech.types import Segment

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

MAX_WINDOW_S = 30.0
"""The longest waveform that a recognizer takes at once."""


@dataclass(frozen=True, slots=True)
class Recognized:
    """What a recognizer heard in one waveform.

    Attributes:
        language: ISO 639-1.
        segments: times from the waveform's beginning; none where it heard no speech, or distrusts what it heard.
    """

    language: str
    segments: tuple[Segment, ...] = ()


class Recognizer(Protocol):
    """A speech-to-text engine with its weights loaded. One file each."""

    @property
    def name(self) -> str:
        """Of its weights, as the catalog calls them."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of what it understands."""
        ...

    @property
    def n_workers(self) -> int:
        """Calls of `recognize`, each in a thread of its own, that are quicker together than one after the other."""
        ...

    def recognize(
        self, waveforms: Sequence[Waveform], language: str | None = None, *, with_words: bool = False
    ) -> list[Recognized]:
        """Hear what is said in each waveform.

        Args:
            waveforms: [n_samples] each, 16 kHz, at most MAX_WINDOW_S long.
            language: ISO 639-1; None finds it out for each.
            with_words: tell the times of words too, where the engine can.
        Raises:
            OptionError: it does not know the language.
        """
        ...

    def close(self) -> None:
        """Free its memory. May be called twice."""
        ...


class Voice(Protocol):
    """A text-to-speech engine with its weights loaded. One file each."""

    @property
    def name(self) -> str:
        """What users choose it by."""
        ...

    @property
    def language(self) -> str:
        """ISO 639-1."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Of what it speaks."""
        ...

    def load(self) -> None:
        """Load its weights, where they are not yet; else the first sentence does, and waits for it.

        Raises:
            EdgeAIError: as `synthesize`.
        """
        ...

    def synthesize(self, sentence: str) -> Waveform:
        """Speak one sentence, in words that can be read out; [n_samples], mono, range -1..1."""
        ...

    def close(self) -> None:
        """Free its memory. May be called twice."""
        ...


class AudioSource(Protocol):
    """A microphone, a file or a queue: gives sound block by block."""

    @property
    def sample_rate_hz(self) -> int:
        """Of the blocks."""
        ...

    def read(self) -> Waveform | None:
        """Wait for the next block, [n_samples]; None at the end.

        Raises:
            AudioDeviceError: the device is gone.
        """
        ...

    def close(self) -> None:
        """Stop; a `read` that waits returns None. May be called twice, from any thread."""
        ...


class AudioSink(Protocol):
    """A speaker, a file or a queue: takes sound block by block."""

    @property
    def sample_rate_hz(self) -> int:
        """Of the blocks."""
        ...

    def write(self, waveform: Waveform) -> None:
        """Play after what was written before, [n_samples]; waits where more than a fraction of a second is waiting.

        Raises:
            AudioDeviceError: the device is gone.
        """
        ...

    @property
    def n_played(self) -> int:
        """Samples that have sounded since the sink was opened."""
        ...

    def stop(self) -> int:
        """Drop what has not sounded yet, at once; the samples dropped. It goes on with the next `write`."""
        ...

    def drain(self) -> None:
        """Wait until everything has sounded, or `stop` is called."""
        ...

    def close(self) -> None:
        """Stop and free the device. May be called twice."""
        ...
