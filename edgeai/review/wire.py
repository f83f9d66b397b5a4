"""The messages between us and the process that takes a deck apart, checked as `edgeai.engine.wire` does."""

from __future__ import annotations

from typing import Annotated, Union

import msgspec

from edgeai.documents.reading.wire import Bytes, Place, Refused
from edgeai.engine.wire import Count
from edgeai.media import MAX_PICTURE_SIDE
from edgeai.sandbox import Policy

__all__ = ["Began", "Bytes", "Ended", "Job", "RawLine", "RawSlide", "Refused", "Reply", "Request"]

MAX_LINES = 1000
"""Of a slide; what stands behind them is left out."""
MAX_LINE_CHARS = 1000
MAX_NOTES_CHARS = 20_000

Length = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Side = Annotated[int, msgspec.Meta(ge=0, le=MAX_PICTURE_SIDE)]


class Job(msgspec.Struct, frozen=True, tag=True):
    """Enter the sandbox and take the deck apart whose bytes follow. The first message.

    Attributes:
        n_bytes: how many follow.
        suffix: of the file's name, in small letters.
        password: of an encrypted PDF.
        policy: the sandbox.
        first: slide that is wanted, from 1.
        last: the same.
        draws: slides are drawn, where they can be.
    """

    n_bytes: Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
    suffix: str
    password: str | None
    policy: Policy
    first: Place
    last: Place
    draws: bool


Request = Union[Job, Bytes]  # noqa: UP007 - msgspec reads it at run time


class Began(msgspec.Struct, frozen=True, tag=True):
    """What it is, "pdf" or "pptx", and how many slides it has."""

    kind: str
    n_slides: Count


class RawLine(msgspec.Struct, frozen=True, array_like=True):
    """A line of text, hostile.

    Attributes:
        text: of it.
        size: of its letters, points; 0 where it is not known.
        box: left, top, right and bottom as shares of the slide's width and height; None where it is not known.
    """

    text: str
    size: Length
    box: tuple[Share, Share, Share, Share] | None = None


class RawSlide(msgspec.Struct, frozen=True, tag=True):
    """The next of the slides that are wanted.

    Attributes:
        number: from 1.
        height: points.
        lines: what is written on it.
        notes: of the speaker.
        has_pictures: in which something may be written.
        is_hidden: it is not shown.
        pixel_width: of the drawn slide; 0 where none was drawn.
        pixel_height: likewise.
        pixels: uint8, RGB, row by row from the top left.
    """

    number: Place
    height: Length
    lines: list[RawLine]
    notes: str = ""
    has_pictures: bool = False
    is_hidden: bool = False
    pixel_width: Side = 0
    pixel_height: Side = 0
    pixels: bytes = b""


class Ended(msgspec.Struct, frozen=True, tag=True):
    """All slides were sent."""


Reply = Union[Began, RawSlide, Ended, Refused]  # noqa: UP007
