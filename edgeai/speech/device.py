"""A microphone or a speaker, as it is listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["input", "output"]
WORDS = {"input": "microphone", "output": "speaker"}


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone or a speaker.

    Attributes:
        name: as PortAudio has it; hostile text.
        kind: "input" or "output".
        host: the sound system that it belongs to.
        n_channels: at most.
        sample_rate_hz: that it prefers.
        is_default: it is taken where none is chosen.
        index: PortAudio's number.
    """

    name: str
    kind: Kind
    host: str
    n_channels: int
    sample_rate_hz: int
    is_default: bool
    index: int
