"""The process that decodes pictures, seen from here: fed, watched, believed only as far as it can be checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from edgeai.engine.link import Link
from edgeai.engine.process import ChildProcess
from edgeai.engine.watchdog import Pace
from edgeai.errors import EngineCrashedError, ModelError, PictureError
from edgeai.media import Medium
from edgeai.safe_text import one_line
from edgeai.vision import limits
from edgeai.vision.convert import fitting
from edgeai.vision.wire import Bytes, Decoded, Enter, Format, Job, Refused, Reply

_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.vision.child import main; main(int(sys.argv[1]))"
_MAX_WORDS = 600
_DOING = "decoding"


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a picture's file; see `edgeai.vision.picture.LoadedPicture`."""

    medium: Medium
    format: Format
    width: int
    height: int
    n_frames: int


class RefusedError(PictureError):
    """The process is well and read all of the picture, which cannot be decoded."""


class Decoder:
    """One process, for one picture after the other. After any error but `RefusedError` it has to be closed."""

    def __init__(self) -> None:
        """
        Raises:
            PictureError: no process can be started here.
        """
        try:
            process: ChildProcess[Reply] = ChildProcess(Reply, _START)
        except ModelError as exc:
            why = exc.__cause__ or "this program has no Python of its own"
            raise PictureError(
                f"no process can be started to decode it in ({why}): expected an ordinary Python and free memory; "
                "close other programs, or run edgeai from one"
            ) from exc
        self._link = Link(process, Pace(0, limits.STALL_S))
        self._is_new = True

    def decode(self, pieces: Iterable[bytes], n_bytes: int) -> Content:
        """Decode a picture.

        Args:
            pieces: the file's bytes.
            n_bytes: how many there are.
        Raises:
            RefusedError: it cannot be decoded; without the file's name.
            EngineCrashedError: the process crashed, hung, or sent what cannot be.
        """
        link = self._link
        with link.watched():
            if self._is_new:
                link.send(Enter(limits.policy()), _DOING)
                self._is_new = False
            link.send(Job(n_bytes), _DOING)
            for piece in pieces:
                link.send(Bytes(piece), _DOING)
            reply = link.receive(limits.STALL_S, _DOING)
            if isinstance(reply, Refused):
                raise RefusedError(one_line(reply.words)[:_MAX_WORDS])
            return self._content(reply)

    def close(self) -> None:
        """End the process."""
        self._link.close()

    def _content(self, reply: Decoded) -> Content:
        n_pixels = reply.width * reply.height
        if n_pixels > limits.MAX_PIXELS:
            raise self._link.distrusted(f"a picture of {n_pixels:,} pixels", _DOING)
        with contextlib.suppress(PictureError):
            medium = Medium.picture(reply.pixels, *fitting(reply.width, reply.height))
            return Content(medium, reply.format, reply.width, reply.height, reply.n_frames)
        raise self._link.distrusted(f"{len(reply.pixels):,} bytes of pixels", _DOING)


def words_of(error: EngineCrashedError) -> str:
    """Why a process ended, as the reason why a picture is not read."""
    return one_line(
        f"the process that decodes it {error.end}: expected an undamaged picture that is decoded within the limits of "
        "time and memory; fetch it again, or save it in another format"
    )
