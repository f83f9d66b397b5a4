"""Media: what a message may hold beside text, as a model takes it in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edgeai.errors import AudioError

SOUND_RATE_HZ = 16_000
"""Of sounds for models: what every Whisper encoder hears."""
MAX_SOUND_S = 900
"""Longer sounds fill any window, and cross to the engine in one message."""
MIN_SOUND_S = 0.01
"""libmtmd ends the process over a sound of one sample."""

_FLOAT_BYTES = 4
_OPEN, _CLOSE = "\ufdd2", "\ufdd3"
MARKER = f"{_OPEN}([0-9a-f]{{64}}){_CLOSE}"
"""A regular expression: what stands for a medium in a rendered prompt. Its group is the medium's `sha256`.

No text of a message can have it: these noncharacters are taken out there. It tells the medium's content, so that texts
that are the same have the same media.
"""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound.

    Attributes:
        samples: float32, little-endian, mono, SOUND_RATE_HZ, range -1..1; b"" where the other side has them.
        sha256: of the samples, hexadecimal: sounds are equal where this is.

    Raises:
        AudioError: samples that are too few or too many.
    """

    samples: bytes = field(repr=False, compare=False)
    sha256: str

    def __post_init__(self) -> None:
        if self.samples and (len(self.samples) % _FLOAT_BYTES or not MIN_SOUND_S <= self.duration_s <= MAX_SOUND_S):
            raise AudioError(
                f"a sound of {len(self.samples):,} bytes, {self.duration_s:,.2f} s: expected float32 samples, "
                f"{MIN_SOUND_S:g} to {MAX_SOUND_S:,} s that a model hears at once; give another or a part of it, or "
                "transcribe it"
            )

    @classmethod
    def of(cls, samples: bytes) -> Sound:
        """A sound from its samples.

        Raises:
            AudioError: they are too few or too many, or one is no number.
        """
        from hashlib import sha256  # not for those who only type

        import numpy as np

        made = cls(samples or bytes(1), sha256(samples).hexdigest())
        if not np.isfinite(np.frombuffer(samples, "<f4")).all():
            raise AudioError("a sound with a sample that is no number: expected -1..1; look at what made it")
        return made

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / (_FLOAT_BYTES * SOUND_RATE_HZ)


def markers(media: Sequence[Sound]) -> str:
    """What stands for media in a rendered prompt, in their order."""
    return "".join(f"{_OPEN}{medium.sha256}{_CLOSE}" for medium in media)


def without_marks(text: str) -> str:
    """The text without anything that a marker could be made of."""
    return text.replace(_OPEN, "").replace(_CLOSE, "")


def chunk_ids(sha256: str, number: int, n_tokens: int) -> list[int]:
    """What stands for one chunk of a medium among a prompt's token ids: negative numbers that follow from its content.

    So the same medium has the same ids, and another has others, in the KV cache and in kept states.

    Args:
        sha256: of the medium.
        number: of the chunk: long sounds and large pictures are taken in as several.
        n_tokens: places that it takes in the context window.
    Returns:
        [n_tokens], 32 bits each, below -1: that is llama.cpp's own id of no token.
    """
    from hashlib import shake_256

    data = shake_256(f"{sha256}/{number}".encode()).digest(4 * n_tokens)
    return [-2 - int.from_bytes(data[at : at + 4], "little") % (2**31 - 2) for at in range(0, len(data), 4)]


def unique(media: Iterable[Sound]) -> tuple[Sound, ...]:
    """Media without repetitions, in the order of their first mention."""
    return tuple({medium.sha256: medium for medium in media}.values())
