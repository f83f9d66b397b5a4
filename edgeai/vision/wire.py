"""The messages between us and the process that decodes pictures, checked as `edgeai.engine.wire` does."""

from __future__ import annotations

from typing import Annotated, Literal, Union

import msgspec

from edgeai.sandbox import Policy

Format = Literal["AVIF", "BMP", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP"]
"""Those that are read, as Pillow calls them."""
Size = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class Enter(msgspec.Struct, frozen=True, tag=True):
    """Enter the sandbox. The first message."""

    policy: Policy


class Job(msgspec.Struct, frozen=True, tag=True):
    """Decode the picture whose bytes follow: so many."""

    n_bytes: Annotated[int, msgspec.Meta(ge=0, lt=2**40)]


class Bytes(msgspec.Struct, frozen=True, tag=True):
    """The next of the picture's bytes."""

    data: bytes


Request = Union[Enter, Job, Bytes]  # noqa: UP007 - msgspec reads it at run time


class Decoded(msgspec.Struct, frozen=True, tag=True):
    """Answers Job.

    Attributes:
        format: of the file.
        width: of the picture in the file, upright.
        height: likewise.
        n_frames: frames or pages of the file; the first was decoded.
        pixels: uint8, RGB, row by row, upright, of the size that `convert.fitting` gives.
    """

    format: Format
    width: Size
    height: Size
    n_frames: Size
    pixels: bytes


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Answers Job: it cannot be decoded. `words`: the reason and what to do, without the file's name."""

    words: str


Reply = Union[Decoded, Refused]  # noqa: UP007
