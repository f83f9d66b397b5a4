"""What was done already, on the disk: each step's text, so that a job that was ended goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from edgeai.errors import DocumentError
from edgeai.file_lock import FileLockedError, lock_file
from edgeai.files import write_bytes
from edgeai.paths import cache_dir

_MAX_LEFT = 8
_MAX_AGE_S = 30 * 24 * 3600
_MAX_BYTES = 64 * 2**20
_DIGEST_CHARS = 16


def jobs_dir() -> Path:
    """Where unfinished jobs are kept."""
    return cache_dir() / "notes"


class Journal:
    """The steps of one job: a file of lines, each with a checksum and durable once it is written.

    What a kill left half-written is dropped when the journal is opened. A job that is finished leaves nothing; of those
    that never are, the eight used last are kept, for thirty days.

    Attributes:
        folder: the job's own, for whatever else it keeps.
        n_found: steps that were there when it was opened.
    """

    def __init__(self, key: str) -> None:
        """Open the journal of a job; made, where there is none.

        Args:
            key: names the job by all that its texts depend on, in hexadecimal.
        Raises:
            DocumentError: the same job is running.
            OSError: the folder cannot be written.
        """
        self.folder = jobs_dir() / key
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(self.folder)
        self._path = self.folder / "steps.jsonl"
        try:
            _remove_old(self.folder)
            self._texts = self._read()
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except BaseException:
            os.close(self._lock)
            raise
        self.n_found = len(self._texts)
        self._is_open = True

    @property
    def is_empty(self) -> bool:
        """Whether it has no step."""
        return not self._texts

    def get(self, key: str) -> str | None:
        """The text of a step that is done."""
        return self._texts.get(key)

    def put(self, key: str, text: str) -> None:
        """Keep the text of a step; durable on return."""
        line = _line(key, text)
        if os.write(self._file, line) != len(line):
            raise OSError(f"{self._path}: a step could not be written whole: free some disk space")
        os.fsync(self._file)
        self._texts[key] = text

    def remove(self) -> None:
        """The job is finished: nothing of it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)  # before another process can take it up
        self.close()

    def close(self) -> None:
        """Let go of it; what is kept stays. May be called twice."""
        if self._is_open:
            self._is_open = False
            os.close(self._file)
            os.close(self._lock)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> dict[str, str]:
        try:
            data = self._path.read_bytes() if self._path.stat().st_size <= _MAX_BYTES else b""
        except FileNotFoundError:
            return {}
        found = dict(_good_lines(data))
        whole = b"".join(_line(key, text) for key, text in found.items())
        if whole != data:
            write_bytes(self._path, whole)
        return found


def _line(key: str, text: str) -> bytes:
    entry = json.dumps([key, text]).encode()
    return hashlib.sha256(entry).hexdigest()[:_DIGEST_CHARS].encode() + b" " + entry + b"\n"


def _good_lines(data: bytes) -> Iterator[tuple[str, str]]:
    """The entries of those lines that are as they were written."""
    for line in data.split(b"\n"):
        digest, _, entry = line.partition(b" ")
        if entry and hashlib.sha256(entry).hexdigest()[:_DIGEST_CHARS].encode() == digest:
            key, text = json.loads(entry)
            yield key, text


def _locked(folder: Path) -> int:
    try:
        return lock_file(folder / "lock")
    except FileLockedError as exc:
        raise DocumentError(
            f"{folder}: the same work is being done by another process: expected one at a time; wait for it to end"
        ) from exc


def _remove_old(own: Path) -> None:
    """Take away jobs that nobody went on with."""
    others = [(_used(folder), folder) for folder in own.parent.iterdir() if folder != own and folder.is_dir()]
    for index, (used, folder) in enumerate(sorted(others, reverse=True)):
        if index >= _MAX_LEFT or time.time() - used > _MAX_AGE_S:
            try:
                descriptor = _locked(folder)
            except (OSError, DocumentError):  # it is running
                continue
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _used(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.glob("steps.jsonl")))
    except OSError:
        return 0.0
