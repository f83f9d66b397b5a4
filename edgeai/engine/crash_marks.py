"""Models that crash or hang the engine while they are loaded: remembered by their hash, and not tried a third time."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import msgspec

from edgeai.errors import EngineCrashedError, ModelFormatError
from edgeai.files import sha256, write_text
from edgeai.paths import data_dir

MAX_CRASHES = 2
_MAX_MARKS = 1000

_log = logging.getLogger(__name__)


class CrashMark(msgspec.Struct, frozen=True):
    """A model that ended the engine while it was loaded.

    Attributes:
        sha256: of the file.
        size_bytes: of the file; a file of another size need not be hashed to be told from it.
        path: where it was.
        n_crashes: how often it happened, without a success in between.
        reason: the last error.
        date: of the last time, ISO 8601.
    """

    sha256: str
    size_bytes: int
    path: str
    n_crashes: int
    reason: str
    date: str


def marks_path() -> Path:
    """Where the marks are kept."""
    return data_dir() / "crashes.json"


def find_mark(path: Path) -> CrashMark | None:
    """The mark of a file; it is hashed only where a marked one has its size. A file that cannot be read has none."""
    try:
        size_bytes = path.stat().st_size
        candidates = [mark for mark in _read() if mark.size_bytes == size_bytes]
        digest = sha256(path) if candidates else ""
    except OSError:
        return None
    return next((mark for mark in candidates if mark.sha256 == digest), None)


def check(path: Path, name: str) -> None:
    """Refuse a model that has crashed the engine too often.

    Raises:
        ModelFormatError: it has; the message says how to try it all the same.
    """
    mark = find_mark(path)
    if mark is not None and mark.n_crashes >= MAX_CRASHES:
        raise ModelFormatError(
            f"{path}: loading it ended the engine {mark.n_crashes} times, last on {mark.date[:10]} ({mark.reason}): "
            f"it is not tried again; to try it all the same: edgeai models retry {name}"
        )


def note_crash(path: Path, error: EngineCrashedError) -> None:
    """Remember that loading a file crashed or hung the engine. A kill from outside is not the file's fault."""
    if error.signal == "SIGKILL" and error.hung_s is None:
        return
    try:
        digest, size_bytes = sha256(path), path.stat().st_size
    except OSError as exc:
        _log.warning("%s crashed the engine and cannot be read any more (%s)", path, exc)
        return
    marks = _read()
    before = next((mark.n_crashes for mark in marks if mark.sha256 == digest), 0)
    mark = CrashMark(
        sha256=digest,
        size_bytes=size_bytes,
        path=str(path),
        n_crashes=before + 1,
        reason=error.end,
        date=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
    _write([mark, *(other for other in marks if other.sha256 != digest)])


def forget(path: Path) -> bool:
    """Take a file's mark away; whether it had one."""
    mark = find_mark(path)
    if mark is not None:
        _write([other for other in _read() if other.sha256 != mark.sha256])
    return mark is not None


def _read() -> list[CrashMark]:
    path = marks_path()
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[CrashMark])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as exc:
        _log.warning("%s cannot be read (%s): no model counts as marked", path, exc)
        return []


def _write(marks: list[CrashMark]) -> None:
    """A full or read-only disk must not hide the crash itself."""
    try:
        text = msgspec.json.format(msgspec.json.encode(marks[:_MAX_MARKS]), indent=1).decode()
        write_text(marks_path(), text + "\n")
    except OSError as exc:
        _log.warning("%s cannot be written (%s)", marks_path(), exc)
