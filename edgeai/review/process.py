"""The process that takes a deck apart, seen from here: fed, watched, believed only as far as it can be checked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgeai.documents.reading import limits
from edgeai.engine.link import Link
from edgeai.engine.process import ChildProcess
from edgeai.engine.watchdog import Pace
from edgeai.errors import DocumentError, EngineCrashedError, ModelError, PictureError
from edgeai.media import Medium
from edgeai.regular_file import CHANGED, file_state, opened
from edgeai.review.wire import Began, Bytes, Ended, Job, RawSlide, Refused, Reply
from edgeai.safe_text import one_line, plain

_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.review.child import main; main(int(sys.argv[1]))"
_DOING = "at work"
_PIECE_BYTES = 2**20
_MAX_WORDS = 600
_MAX_KIND = 20
_SLIDE_S = 10.0
"""Seconds a slide, to read and draw it, all together."""


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line of text.

    Attributes:
        text: one line, hostile, never empty.
        points: the size of its letters; 0 where it is not known.
        box: left, top, right and bottom as shares of the slide's width and height; None where it is not known.
    """

    text: str
    points: float
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class FoundSlide:
    """A slide as its file holds it; see `wire.RawSlide`."""

    number: int
    height: float
    lines: tuple[FoundLine, ...]
    notes: str
    has_pictures: bool
    is_hidden: bool
    picture: Medium | None


class Taking:
    """A deck that is being taken apart; `taken_apart` makes one.

    Attributes:
        kind: "pdf" or "pptx".
        n_slides: all of them.
        sha256: of the file.
    """

    def __init__(self, link: Link[Reply], n_bytes: int, sha256: str, wanted: tuple[int, int]) -> None:
        self._link, self._n_bytes = link, n_bytes
        self._wanted = wanted
        self._left_s = limits.total_s(n_bytes, 0)
        began = self._receive()
        if not isinstance(began, Began):
            raise self._distrusted(f"{type(began).__name__} out of turn")
        if began.n_slides > limits.MAX_PAGES:
            raise self._distrusted(f"{began.n_slides:,} slides")
        self.kind, self.n_slides, self.sha256 = one_line(began.kind)[:_MAX_KIND], began.n_slides, sha256

    def slides(self) -> Iterator[FoundSlide]:
        """Those that are wanted, once; the process reads the next one meanwhile.

        Raises:
            EngineCrashedError: the process crashed, hung, or sent what cannot be.
        """
        for number in range(self._wanted[0], min(self._wanted[1], self.n_slides) + 1):
            self._left_s += _SLIDE_S
            reply = self._receive()
            if not isinstance(reply, RawSlide) or reply.number != number:
                raise self._distrusted(f"{type(reply).__name__} in place of slide {number:,}")
            yield self._checked(reply)
        if not isinstance(ended := self._receive(), Ended):
            raise self._distrusted(f"{type(ended).__name__} behind the last slide")

    def _checked(self, raw: RawSlide) -> FoundSlide:
        picture = None
        if raw.pixel_width:
            try:
                picture = Medium.picture(raw.pixels, raw.pixel_width, raw.pixel_height)
            except PictureError as exc:
                raise self._distrusted(str(exc)) from exc
        lines = (FoundLine(one_line(line.text).strip(), line.size, line.box) for line in raw.lines)
        return FoundSlide(
            raw.number,
            raw.height,
            tuple(line for line in lines if line.text),
            plain(raw.notes).strip(),
            raw.has_pictures,
            raw.is_hidden,
            picture,
        )

    def _receive(self) -> Reply:
        if self._left_s <= 0:
            raise DocumentError(
                f"reading its {self._n_bytes:,} bytes takes too long: expected a deck that is read at {_SLIDE_S:g} s a "
                "slide; export it anew, or choose some slides (--slides 1-20)"
            )
        began = time.monotonic()
        reply = self._link.receive(limits.STALL_S, _DOING)
        self._left_s -= time.monotonic() - began
        if isinstance(reply, Refused):
            raise DocumentError(one_line(reply.words)[:_MAX_WORDS], needs_password=reply.needs_password)
        return reply

    def _distrusted(self, what: str) -> EngineCrashedError:
        return self._link.distrusted(what, _DOING)


@contextlib.contextmanager
def taken_apart(
    path: Path, *, password: str | None = None, wanted: tuple[int, int] = (1, limits.MAX_PAGES), draws: bool = False
) -> Iterator[Taking]:
    """Start a process that takes a deck apart; it ends with the block.

    Args:
        path: the file.
        password: of an encrypted PDF.
        wanted: the first and the last slide.
        draws: slides come with their pictures, where they can be drawn.
    Raises:
        DocumentError: it cannot be read; from within the block too. One line that names the file.
    """
    try:
        with opened(path, "a deck of slides (.pdf, .pptx)", limits.MAX_FILE_BYTES, DocumentError) as (file, before):
            job = Job(before.st_size, _suffix(path), password, limits.policy(before.st_size), *wanted, draws)
            with _linked() as link:
                yield Taking(link, before.st_size, _fed(link, job, file, before), wanted)
    except DocumentError as exc:
        shown = one_line(os.fspath(path))
        words = str(exc) if str(exc).startswith(f"{shown}: ") else f"{shown}: {exc}"
        raise DocumentError(words, needs_password=exc.needs_password) from exc.__cause__


@contextlib.contextmanager
def _linked() -> Iterator[Link[Reply]]:
    try:
        process: ChildProcess[Reply] = ChildProcess(Reply, _START)
    except ModelError as exc:
        raise DocumentError(
            f"no process can be started to read it in ({exc.__cause__ or 'this program has no Python of its own'}): "
            "expected an ordinary Python and free memory; close other programs, or run edgeai from one"
        ) from exc
    link = Link(process, Pace(0, limits.STALL_S))
    try:
        with link.watched():
            yield link
    except EngineCrashedError as exc:
        raise DocumentError(
            one_line(
                f"the process that reads it {exc.end}: expected an undamaged file that is read within the limits of "
                "time and memory; export it anew, or split it"
            )
        ) from exc
    finally:
        link.close()


def _fed(link: Link[Reply], job: Job, file: BinaryIO, before: os.stat_result) -> str:
    """Send the file; its SHA-256."""
    digest, n_read = hashlib.sha256(), 0
    link.send(job, _DOING)
    while piece := file.read(_PIECE_BYTES):
        n_read += len(piece)
        if n_read > before.st_size:
            break
        digest.update(piece)
        link.send(Bytes(piece), _DOING)
    if n_read != before.st_size or file_state(os.fstat(file.fileno())) != file_state(before):
        raise DocumentError(CHANGED)
    return digest.hexdigest()


def _suffix(path: Path) -> str:
    return path.suffix.lower()[:16].encode("ascii", "replace").decode()
