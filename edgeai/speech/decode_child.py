"""The process that decodes one sound file: it enters the sandbox, opens the file, sends its sound and ends.

FFmpeg's libraries read whatever people call sound; they see this one file and nothing else, and no network.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeai.engine.parent import parents_pipe
from edgeai.engine.wire import Pipe
from edgeai.errors import AudioError
from edgeai.sandbox import enter
from edgeai.speech.decode_wire import Ended, Job, Opened, Refused, Samples
from edgeai.speech.types import SAMPLE_RATE_HZ

_BLOCK_SAMPLES = SAMPLE_RATE_HZ
_MAX_RATE_HZ = 768_000
_MAX_DAMAGED = 1000  # packets in a row of which nothing is heard
_SLACK_S = 1.0  # that a container may promise too much
_WAV_SLACK_BYTES = 64
_NOT_KNOWN_BYTES = 2**31 - 2**16


def main(parent_pid: int) -> None:
    """Decode the file that the first message names; `parent_pid` is the process that asks."""
    pipe: Pipe[Job] = parents_pipe(parent_pid, Job)
    with contextlib.suppress(EOFError, BrokenPipeError):
        job = pipe.receive()
        enter(job.policy)
        threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
        _answer(job, pipe)
    os._exit(0)  # native libraries would take their time


def _answer(job: Job, pipe: Pipe[Job]) -> None:
    try:
        with Path(job.path).open("rb") as file:
            _decode(file, job.start_s, pipe)
    except AudioError as exc:
        pipe.send(Refused(str(exc)))
    except MemoryError:
        pipe.send(Refused("decoding it takes more memory than it may: expected an ordinary recording"))
    except ImportError as exc:
        name = (exc.name or "a library").partition(".")[0]
        pipe.send(Refused(f"reading it needs {name}, which is not installed: pip install 'edgeai[speech]'"))


def _decode(file: Any, start_s: float, pipe: Pipe[Job]) -> None:
    import av
    import numpy as np

    av.logging.set_level(av.logging.PANIC)
    with _opened(file) as container:
        if not container.streams.audio:
            what = "pictures and no sound" if container.streams.video else "no sound"
            raise AudioError(f"it has {what}: expected a file with an audio track")
        duration_s = container.duration / 1e6 if container.duration and container.duration > 0 else None
        pipe.send(Opened(duration_s))
        decoding = _Decoding(container, start_s)
        block, n_held, n_sent = list[Any](), 0, 0
        for piece in decoding.pieces():
            block.append(piece)
            n_held += len(piece)
            if n_held >= _BLOCK_SAMPLES:
                pipe.send(Samples(np.concatenate(block).astype("<f4").tobytes()))
                block, n_held, n_sent = [], 0, n_sent + n_held
        if n_held:
            pipe.send(Samples(np.concatenate(block).astype("<f4").tobytes()))
            n_sent += n_held
        if not n_sent and not start_s:
            raise AudioError(
                "nothing in it can be decoded: expected a sound or video file that is whole; fetch it or save it again"
            )
        end_s = start_s + n_sent / SAMPLE_RATE_HZ
        is_short = duration_s is not None and end_s < duration_s - max(_SLACK_S, 0.02 * duration_s)
        pipe.send(Ended(decoding.n_damaged > 0 or is_short or _is_cut_wav(file)))


def _is_cut_wav(file: Any) -> bool:
    """Whether a WAV file is shorter than its head says: FFmpeg takes the file's own length then, and says nothing.

    Programs that write as they record leave 0 or the largest number there, which says nothing either.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    n_promised = int.from_bytes(head[4:8], "little")
    is_told = 0 < n_promised < _NOT_KNOWN_BYTES
    return head[:4] == b"RIFF" and head[8:] == b"WAVE" and is_told and n_bytes < n_promised + 8 - _WAV_SLACK_BYTES


@contextlib.contextmanager
def _opened(file: Any) -> Iterator[Any]:
    import av

    try:
        # Playlists would have other files opened: no protocol is allowed, the file itself is read through `file`.
        container = av.open(file, options={"protocol_whitelist": "none", "enable_drefs": "0"})
    except (av.error.FFmpegError, ValueError, OSError) as exc:
        raise AudioError(
            "no sound or video file that can be read: expected WAV, MP3, FLAC, Ogg, Opus, M4A, MP4, WebM or the like; "
            "if it should be one, it is damaged or cut short: fetch it or save it again"
        ) from exc
    with container:
        yield container


class _Decoding:
    """Packets to mono samples of 16 kHz; damaged packets are counted and left out."""

    def __init__(self, container: Any, start_s: float) -> None:
        self.n_damaged = 0
        self._container = container
        self._stream = container.streams.audio[0]
        self._stream.thread_type = "NONE"
        self._start_s = start_s
        self._resampler: Any = None
        self._rate = 0

    def pieces(self) -> Iterator[Any]:
        """[n] float32 each."""
        import av

        if self._start_s:
            with contextlib.suppress(av.error.FFmpegError):
                self._container.seek(int(self._start_s * 1e6))
        n_in_a_row = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                self.n_damaged += 1
                n_in_a_row += 1
                if n_in_a_row > _MAX_DAMAGED:
                    return
                continue
            for frame in frames:
                n_in_a_row = 0
                yield from self._heard(frame)
        if self._resampler is not None:
            yield self._resampler.resample_chunk(_empty(), last=True)

    def _packets(self) -> Iterator[Any]:
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                yield next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, ValueError):
                self.n_damaged += 1
                return

    def _heard(self, frame: Any) -> Iterator[Any]:
        import numpy as np

        rate = frame.sample_rate
        if not 1000 <= rate <= _MAX_RATE_HZ:
            raise AudioError(f"it has {rate:,} samples a second: expected 1,000 to {_MAX_RATE_HZ:,}")
        mono = _mono(frame)
        if self._start_s and frame.time is not None and frame.time < self._start_s:
            mono = mono[round((self._start_s - frame.time) * rate) :]
        if rate != self._rate:
            import soxr

            if self._resampler is not None:
                yield self._resampler.resample_chunk(_empty(), last=True)
            self._rate = rate
            self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
        if len(mono):
            yield np.clip(self._resampler.resample_chunk(mono), -1.0, 1.0)


def _mono(frame: Any) -> Any:
    """The channels' mean, [n] float32 in -1..1; what is no number is silence."""
    import numpy as np

    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / 2.0 ** (8 * samples.dtype.itemsize - 1)
    mono = samples.mean(axis=0, dtype=np.float32)
    return np.clip(np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)


def _empty() -> Any:
    import numpy as np

    return np.zeros(0, np.float32)


def _end_with_parent(pipe: Pipe[Job]) -> None:
    """There is no second job: whatever comes, or the pipe's end, is the end."""
    with contextlib.suppress(EOFError, OSError, ValueError):
        pipe.receive()
    os._exit(0)
