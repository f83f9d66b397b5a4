"""The messages between us and the process that reads a document, checked as `edgeai.engine.wire` does."""

from __future__ import annotations

from typing import Annotated, Union

import msgspec

from edgeai.documents.types import BlockKind, OcrMode
from edgeai.engine.wire import Count
from edgeai.media import MAX_PICTURE_SIDE
from edgeai.sandbox import Policy

MAX_LEVEL = 9
Place = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class Job(msgspec.Struct, frozen=True, tag=True):
    """Enter the sandbox and read the document whose bytes follow. The first message.

    Attributes:
        n_bytes: how many follow.
        expected: the kind that the file's name promises, of `kinds.KINDS`; None where it promises none.
        suffix: of the file's name, in small letters.
        password: of an encrypted file.
        policy: the sandbox.
        ocr: which pages are sent as pictures: those without text ("auto"), all or none.
    """

    n_bytes: Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
    expected: str | None
    suffix: str
    password: str | None
    policy: Policy
    ocr: OcrMode = "never"


class Bytes(msgspec.Struct, frozen=True, tag=True):
    """The next of the document's bytes."""

    data: bytes


Request = Union[Job, Bytes]  # noqa: UP007 - msgspec reads it at run time


class Began(msgspec.Struct, frozen=True, tag=True):
    """What it is, and how many pages, slides or sheets it has."""

    kind: str
    n_pages: Count | None


class Working(msgspec.Struct, frozen=True, tag=True):
    """So far it has come: pages where there are any, else bytes or parts."""

    n_done: Count
    n_total: Count


class Part(msgspec.Struct, frozen=True, array_like=True):
    """An `edgeai.documents.types.Block`. `level`: of a heading, from 1; 0 for all else."""

    text: str
    kind: BlockKind
    level: Annotated[int, msgspec.Meta(ge=0, le=MAX_LEVEL)]
    page: Place | None
    line: Place | None


class Parts(msgspec.Struct, frozen=True, tag=True):
    """The next blocks."""

    parts: list[Part]


class Scan(msgspec.Struct, frozen=True, tag=True):
    """A page whose text we recognise; it stands behind the blocks that were sent.

    Attributes:
        page: from 1.
        pixels: uint8, RGB, row by row from the top left.
    """

    page: Place
    width: Annotated[int, msgspec.Meta(ge=1, le=MAX_PICTURE_SIDE)]
    height: Annotated[int, msgspec.Meta(ge=1, le=MAX_PICTURE_SIDE)]
    pixels: bytes


class Finished(msgspec.Struct, frozen=True, tag=True):
    """All blocks were sent."""

    title: str
    pages_without_text: list[Place]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It cannot be read. `words`: the reason and what to do, without the file's name."""

    words: str
    needs_password: bool = False


Reply = Union[Began, Working, Parts, Scan, Finished, Refused]  # noqa: UP007
