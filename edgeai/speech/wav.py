"""WAV files: written whole or not at all, and recordings that are readable whatever ends them."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from edgeai.errors import AudioError
from edgeai.files import STAGING_PREFIX, sync_dir
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from types import TracebackType

    from edgeai.speech.types import Waveform

_HEADER_BYTES = 44
_SAMPLE_BYTES = 2
MAX_DATA_BYTES = 2**32 - _HEADER_BYTES
"""Of a file's samples, whose sizes stand in 32 bits: 37 hours at 16 kHz."""


def write_wav(path: str | os.PathLike[str], blocks: Iterable[Waveform], sample_rate_hz: int) -> int:
    """Write 16-bit mono WAV; what was there before stays until all is on the disk. It is its owner's alone.

    Args:
        path: the file.
        blocks: of the waveform, [n] each, range -1..1; `[waveform]` for one that is whole.
        sample_rate_hz: of the blocks.
    Returns:
        The samples that were written.
    Raises:
        AudioError: it cannot be written, or is too long. Whatever `blocks` raises passes. Nothing is left of it then.
    """
    target = Path(path)
    with _as_audio_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, staging = tempfile.mkstemp(dir=target.parent, prefix=STAGING_PREFIX)
    try:
        with WavWriter._on(target, os.fdopen(descriptor, "wb", buffering=0), sample_rate_hz) as writer:
            for block in blocks:
                writer.write(block)
        with _as_audio_errors(target):
            Path(staging).replace(target)
            sync_dir(target.parent)
    finally:
        Path(staging).unlink(missing_ok=True)
    return writer.n_samples


class WavWriter:
    """A recording that grows, as 16-bit mono WAV.

    After each `write` the file is whole: its header tells what is there, so that it can be read while it grows, and
    after this process was killed. Threads may share it.

    Attributes:
        path: the file.
        sample_rate_hz: of the recording.
        n_samples: written so far.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate_hz: int) -> None:
        """
        Args:
            path: a new file, its owner's alone; folders above it are made.
            sample_rate_hz: of the recording.
        Raises:
            AudioError: it exists already, or cannot be written.
        """
        target = Path(path)
        with _as_audio_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            file = os.fdopen(os.open(target, flags, 0o600), "wb", buffering=0)
        self._begin(target, file, sample_rate_hz)

    @classmethod
    def _on(cls, path: Path, file: BinaryIO, sample_rate_hz: int) -> WavWriter:
        """On an empty file that is open; errors name `path`."""
        writer = cls.__new__(cls)
        writer._begin(path, file, sample_rate_hz)
        return writer

    def _begin(self, path: Path, file: BinaryIO, sample_rate_hz: int) -> None:
        self.path = path
        self.sample_rate_hz = sample_rate_hz
        self.n_samples = 0
        self._file = file
        self._lock = threading.Lock()
        try:
            with _as_audio_errors(path):
                self._put(0, _header(0, sample_rate_hz))
        except BaseException:
            file.close()
            raise

    def write(self, block: Waveform) -> None:
        """Append a block, [n], range -1..1.

        Raises:
            AudioError: the disk is full, or the file would pass 4 GiB. What was written before stays readable.
            ValueError: it was closed.
        """
        samples = np.clip(np.nan_to_num(np.asarray(block)) * 32768.0, -32768, 32767)
        data = np.rint(samples).astype("<i2").tobytes()
        with self._lock:
            n_before = self.n_samples * _SAMPLE_BYTES
            if n_before + len(data) > MAX_DATA_BYTES:
                raise AudioError(
                    f"{one_line(str(self.path))}: the recording has {n_before:,} bytes, and a WAV file holds "
                    f"{MAX_DATA_BYTES:,}: go on in another file"
                )
            with _as_audio_errors(self.path):
                self._put(_HEADER_BYTES + n_before, data)
                self._put(0, _header(n_before + len(data), self.sample_rate_hz))
            self.n_samples += len(data) // _SAMPLE_BYTES

    def close(self) -> None:
        """Bring it onto the disk. May be called twice.

        Raises:
            AudioError: the disk failed.
        """
        with self._lock, _as_audio_errors(self.path):
            if not self._file.closed:
                with self._file:
                    os.fsync(self._file.fileno())

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _put(self, position: int, data: bytes) -> None:
        self._file.seek(position)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]


def _header(n_data_bytes: int, sample_rate_hz: int) -> bytes:
    """Source: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0 (1991), WAVE."""
    pcm, n_channels, n_bits = 1, 1, 8 * _SAMPLE_BYTES
    form = struct.pack(
        "<IHHIIHH", 16, pcm, n_channels, sample_rate_hz, sample_rate_hz * _SAMPLE_BYTES, _SAMPLE_BYTES, n_bits
    )
    n_rest = _HEADER_BYTES - 8 + n_data_bytes
    return b"RIFF" + struct.pack("<I", n_rest) + b"WAVEfmt " + form + b"data" + struct.pack("<I", n_data_bytes)


@contextmanager
def _as_audio_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if isinstance(exc, FileExistsError) and exc.filename == os.fspath(path):
            raise AudioError(f"{one_line(str(path))}: there is such a file already: choose another name") from exc
        reason = one_line(exc.strerror or str(exc))
        raise AudioError(
            f"{one_line(str(path))}: cannot be written ({reason}): expected a folder that you may write in, and room "
            "on its disk"
        ) from exc
