"""What of a long recording is transcribed already, on the disk, so that a killed job goes on where it was."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from edgeai.errors import AudioError
from edgeai.file_lock import FileLockedError, lock_file
from edgeai.files import write_bytes
from edgeai.paths import cache_dir
from edgeai.speech.types import Segment

_MAX_LEFT = 32
_MAX_AGE_S = 30 * 24 * 3600
_MAX_BYTES = 256 * 2**20
_DIGEST_CHARS = 16


def journal_key(path: Path, recognizer: str, language: str, *, with_words: bool) -> str:
    """Names a job by all that its text depends on: the file as it is now, and how it is heard; in hexadecimal.

    Raises:
        OSError: there is no such file.
    """
    found = path.stat()
    digest = hashlib.sha256()
    file = (os.fspath(path.resolve()), found.st_ino, found.st_size, found.st_mtime_ns)
    for part in (*file, recognizer, language, with_words):
        digest.update(os.fsencode(str(part)) + b"\0")
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Part:
    """What is said up to a moment, from where the part before ends."""

    until_s: float
    segments: tuple[Segment, ...]


class TranscriptJournal:
    """The parts of one recording: a file of lines, each with a checksum and durable once it is written.

    What a kill left half-written is dropped. A finished job leaves nothing; others are kept for thirty days.

    Attributes:
        until_s: all before this is transcribed.
        segments: what is said in it.
    """

    def __init__(self, key: str) -> None:
        """Open the journal of a job; made, where there is none.

        Args:
            key: of `journal_key`.
        Raises:
            AudioError: the same job is running.
            OSError: the cache folder cannot be written.
        """
        folder = cache_dir() / "transcripts"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{key}.jsonl"
        self._lock_path = folder / f"{key}.lock"
        self._lock = _locked(self._lock_path)
        self._is_open = True
        self.until_s = 0.0
        self.segments: list[Segment] = []
        try:
            _remove_old(folder, self._path)
            self._read()
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except BaseException:
            os.close(self._lock)
            raise

    def put(self, segments: Sequence[Segment], until_s: float) -> None:
        """Keep the next part; durable on return."""
        part = _Part(until_s, tuple(segments))
        line = _line(part)
        if os.write(self._file, line) != len(line):
            raise OSError(f"{self._path}: a part could not be written whole: free some disk space")
        os.fsync(self._file)
        self._add(part)

    def remove(self) -> None:
        """The job is finished: nothing of it is needed any more."""
        self.until_s, self.segments = 0.0, []
        self.close()

    def close(self) -> None:
        """Let go of it; what is kept stays. May be called twice."""
        if self._is_open:
            self._is_open = False
            if not self.until_s:
                self._path.unlink(missing_ok=True)
                self._lock_path.unlink(missing_ok=True)
            os.close(self._file)
            os.close(self._lock)

    def __enter__(self) -> TranscriptJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, part: _Part) -> None:
        self.until_s = part.until_s
        self.segments += part.segments

    def _read(self) -> None:
        try:
            data = self._path.read_bytes() if self._path.stat().st_size <= _MAX_BYTES else b""
        except FileNotFoundError:
            return
        whole = b""
        for part in _good_parts(data):
            self._add(part)
            whole += _line(part)
        if whole != data:
            write_bytes(self._path, whole)


def _line(part: _Part) -> bytes:
    entry = msgspec.json.encode(part)
    return hashlib.sha256(entry).hexdigest()[:_DIGEST_CHARS].encode() + b" " + entry + b"\n"


def _good_parts(data: bytes) -> Iterator[_Part]:
    """The parts up to the first line that is not as it was written: nothing can be left out in the middle."""
    until_s = 0.0
    for line in data.split(b"\n"):
        digest, _, entry = line.partition(b" ")
        if hashlib.sha256(entry).hexdigest()[:_DIGEST_CHARS].encode() != digest:
            return
        try:
            part = msgspec.json.decode(entry, type=_Part)
        except msgspec.MsgspecError:  # of another version
            return
        if part.until_s < until_s:
            return
        until_s = part.until_s
        yield part


def _locked(path: Path) -> int:
    try:
        return lock_file(path)
    except FileLockedError as exc:
        raise AudioError(
            f"{path}: the same recording is being transcribed by another process: expected one at a time; wait for it"
        ) from exc


def _remove_old(folder: Path, own: Path) -> None:
    """Take away journals that nobody went on with."""
    others = [(_used(path), path) for path in folder.glob("*.jsonl") if path != own]
    for index, (used, path) in enumerate(sorted(others, reverse=True)):
        if index < _MAX_LEFT and time.time() - used <= _MAX_AGE_S:
            continue
        try:
            descriptor = lock_file(path.with_suffix(".lock"))
        except OSError:  # it is running
            continue
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
        os.close(descriptor)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
