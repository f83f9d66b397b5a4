"""The messages between us and the process that decodes a sound file, checked as `edgeai.engine.wire` does."""

from __future__ import annotations

from typing import Annotated, Union

import msgspec

from edgeai.sandbox import Policy

Seconds = Annotated[float, msgspec.Meta(ge=0, lt=1e9)]


class Job(msgspec.Struct, frozen=True, tag=True):
    """Enter the sandbox and decode a file. The first message.

    Attributes:
        path: the file's, absolute.
        start_s: where to begin.
        policy: the sandbox.
    """

    path: str
    start_s: Seconds
    policy: Policy


class Opened(msgspec.Struct, frozen=True, tag=True):
    """It holds sound; so long, as far as it tells."""

    duration_s: Seconds | None


class Samples(msgspec.Struct, frozen=True, tag=True):
    """The next of the sound: float32, little-endian, mono, 16 kHz."""

    data: bytes


class Ended(msgspec.Struct, frozen=True, tag=True):
    """All was sent. `is_cut`: a part of the file is missing or damaged."""

    is_cut: bool


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It cannot be decoded. `words`: the reason and what to do, without the file's name."""

    words: str


Reply = Union[Opened, Samples, Ended, Refused]  # noqa: UP007 - msgspec reads it at run time
