"""Media: what a message may hold beside text, as a model takes it in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edgeai.errors import AudioError, PictureError

SOUND_RATE_HZ = 16_000
"""Of sounds for models: what every Whisper encoder hears."""
MAX_SOUND_S = 900
"""Longer sounds fill any window, and cross to the engine in one message."""
MIN_SOUND_S = 0.01
"""libmtmd ends the process over a sound of one sample."""

MAX_PICTURE_PIXELS = 16 * 2**20
"""Of pictures for models, which make them smaller; and they cross to the engine in one message."""
MAX_PICTURE_SIDE = 16_384
"""Pixels: libmtmd's own arithmetic of sizes holds for such."""

_FLOAT_BYTES, _RGB_BYTES = 4, 3
_OPEN, _CLOSE = "\ufdd2", "\ufdd3"
MARKER = f"{_OPEN}([0-9a-f]{{64}}){_CLOSE}"
"""A regular expression: what stands for a medium in a rendered prompt. Its group is the medium's `sha256`.

No text of a message can have it: these noncharacters are taken out there. It tells the medium's content, so that texts
that are the same have the same media.
"""


@dataclass(frozen=True, slots=True)
class Medium:
    """A sound or a picture.

    Attributes:
        data: of a sound, float32, little-endian, mono, SOUND_RATE_HZ, range -1..1; of a picture, uint8, RGB, row by row
            from the top left; b"" where the other side has it.
        sha256: of what it is, hexadecimal: media are equal where this is.
        width: of a picture, pixels; 0 of a sound.
        height: likewise.

    Raises:
        AudioError: samples that are too few or too many.
        PictureError: a size that cannot be, or that its pixels do not have.
    """

    data: bytes = field(repr=False, compare=False)
    sha256: str
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        if self.is_sound:
            if self.data and (len(self.data) % _FLOAT_BYTES or not MIN_SOUND_S <= self.duration_s <= MAX_SOUND_S):
                raise AudioError(
                    f"a sound of {len(self.data):,} bytes, {self.duration_s:,.2f} s: expected float32 samples, "
                    f"{MIN_SOUND_S:g} to {MAX_SOUND_S:,} s that a model hears at once; give another or a part of it, "
                    "or transcribe it"
                )
            return
        n_pixels = self.width * self.height
        if not all(1 <= side <= MAX_PICTURE_SIDE for side in self.size) or n_pixels > MAX_PICTURE_PIXELS:
            raise PictureError(
                f"a picture of {self.width:,} x {self.height:,} pixels: expected sides of 1 to {MAX_PICTURE_SIDE:,} "
                f"and {MAX_PICTURE_PIXELS:,} in all; make it smaller"
            )
        if self.data and len(self.data) != _RGB_BYTES * n_pixels:
            raise PictureError(
                f"a picture of {self.width:,} x {self.height:,} pixels with {len(self.data):,} bytes: expected "
                f"{_RGB_BYTES * n_pixels:,}, three for each pixel"
            )

    @classmethod
    def sound(cls, samples: bytes) -> Medium:
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

    @classmethod
    def picture(cls, pixels: bytes, width: int, height: int) -> Medium:
        """A picture from its pixels.

        Raises:
            PictureError: they are too many, or not as many as its size says.
        """
        from hashlib import sha256

        content = sha256(f"picture {width} {height}\n".encode())
        content.update(pixels)
        return cls(pixels or bytes(1), content.hexdigest(), width, height)

    @property
    def is_sound(self) -> bool:
        """Whether it is a sound, not a picture."""
        return not self.width and not self.height

    @property
    def duration_s(self) -> float:
        """How long a sound is."""
        return len(self.data) / (_FLOAT_BYTES * SOUND_RATE_HZ)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a picture, pixels."""
        return self.width, self.height


def markers(media: Sequence[Medium]) -> str:
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


def unique(media: Iterable[Medium]) -> tuple[Medium, ...]:
    """Media without repetitions, in the order of their first mention."""
    return tuple({medium.sha256: medium for medium in media}.values())
