"""Sound files to waveforms: whatever FFmpeg's libraries read, in a sandboxed process, in constant memory."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.engine.link import Link
from edgeai.engine.process import ChildProcess
from edgeai.engine.watchdog import Pace
from edgeai.errors import AudioError, EngineCrashedError, ModelError
from edgeai.regular_file import opened
from edgeai.safe_text import one_line
from edgeai.sandbox import Policy
from edgeai.speech.decode_wire import Ended, Job, Opened, Refused, Reply, Samples

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.speech.decode_child import main; main(int(sys.argv[1]))"
_STALL_S = 30.0
_MEMORY_BYTES = 2**30
_MAX_WORDS = 600
_DOING = "decoding"


class Sound:
    """A sound file that is being decoded; `sound_of` opens one. It can be gone through once.

    Attributes:
        duration_s: as the file tells; None where it does not.
        is_cut: known at the end: a part of it is missing or damaged, and was left out.
    """

    def __init__(self, link: Link[Reply], path: Path, duration_s: float | None) -> None:
        self.duration_s = duration_s
        self.is_cut = False
        self._link = link
        self._path = path

    def __iter__(self) -> Iterator[Waveform]:
        """Blocks of about a second, [n_samples], mono, 16 kHz.

        Raises:
            AudioError: nothing in it can be decoded.
        """
        import numpy as np

        while True:
            reply = _receive(self._link, self._path)
            if isinstance(reply, Ended):
                self.is_cut = reply.is_cut
                return
            if not isinstance(reply, Samples) or len(reply.data) % 4:
                raise _failed(self._path, "sent what it never should")
            yield np.clip(np.nan_to_num(np.frombuffer(reply.data, "<f4")), -1.0, 1.0)


@contextlib.contextmanager
def sound_of(path: str | os.PathLike[str], *, start_s: float = 0.0) -> Iterator[Sound]:
    """Open a sound file, or a video's sound.

    Args:
        path: the file; its content decides what it is.
        start_s: where to begin.
    Raises:
        AudioError: it cannot be read. One line that names the file, what was expected and what to do.
    """
    file = Path(path)
    check_sound_file(file)
    try:
        process: ChildProcess[Reply] = ChildProcess(Reply, _START)
    except ModelError as exc:
        raise _failed(file, f"cannot be started ({exc.__cause__ or 'no Python'})") from exc
    with contextlib.ExitStack() as stack:
        stack.callback(process.close)
        link = Link(process, Pace(0, _STALL_S))
        stack.callback(link.close)
        stack.enter_context(link.watched())
        real = str(file.resolve())
        try:
            link.send(Job(real, start_s, Policy(readable=(real,), memory_bytes=_MEMORY_BYTES)), _DOING)
        except EngineCrashedError as exc:
            raise _failed(file, exc.end) from exc
        opened = _receive(link, file)
        if not isinstance(opened, Opened):
            raise _failed(file, "sent what it never should")
        yield Sound(link, file, opened.duration_s)


def _receive(link: Link[Reply], path: Path) -> Reply:
    try:
        reply = link.receive(_STALL_S, _DOING)
    except EngineCrashedError as exc:
        raise _failed(path, exc.end) from exc
    if isinstance(reply, Refused):
        raise AudioError(f"{_shown(path)}: {one_line(reply.words)[:_MAX_WORDS]}")
    return reply


def check_sound_file(path: Path) -> None:
    """Nothing but a regular file is opened; the process does it, which is given its path alone.

    Raises:
        AudioError: it is none, it is empty, or it may not be read.
    """
    try:
        with opened(path, "a sound file", sys.maxsize, AudioError):
            pass
    except AudioError as exc:
        raise AudioError(f"{_shown(path)}: {exc}") from exc.__cause__


def _failed(path: Path, how: str) -> AudioError:
    return AudioError(
        f"{_shown(path)}: the process that decodes it {one_line(how)}: expected a sound file that is decoded within "
        "the limits of time and memory; save it again in another format"
    )


def _shown(path: Path) -> str:
    return one_line(os.fspath(path))
