"""Files from outside, read if they are regular ones: opening a pipe waits, and opening a device may do things."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgeai.errors import EdgeAIError
from edgeai.safe_text import one_line

CHANGED = "it changed while it was read: expected a file that stays as it is; read it again"


@contextlib.contextmanager
def opened(
    path: Path, what: str, max_bytes: int, error: type[EdgeAIError]
) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a regular file that is not empty; the file, unbuffered, and what is known of it.

    Args:
        path: the file.
        what: is expected there, such as "a picture".
        max_bytes: of its size.
        error: raised where it is none or cannot be read; its words are without the file's name.
    """
    try:
        check(path.stat(), what, max_bytes, error)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
        with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            check(found, what, max_bytes, error)  # it may be another by now
            yield file, found
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        if isinstance(exc, EdgeAIError):
            raise
        raise error(why_not(exc, what)) from exc


def check(found: os.stat_result, what: str, max_bytes: int, error: type[EdgeAIError]) -> None:
    """Refuse what is no regular file with something in it; see `opened`."""
    if stat.S_ISDIR(found.st_mode):
        raise error(f"it is a folder: expected {what}; name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise error(f"it is a pipe, socket or device: expected {what} in a regular file; save its content to one")
    if found.st_size == 0:
        raise error(f"it is empty (0 bytes): expected {what}; fetch or save it again")
    if found.st_size > max_bytes:
        raise error(f"it has {found.st_size:,} bytes: expected at most {max_bytes:,}; split it or make it smaller")


def why_not(exc: OSError | ValueError, what: str) -> str:
    """Why a file cannot be opened or read."""
    if isinstance(exc, FileNotFoundError):
        return f"no such file: expected {what}; check the path"
    if isinstance(exc, PermissionError):
        return f"no permission to read it: expected {what} that you may read; change its permissions (chmod u+r)"
    reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return f"cannot be opened ({one_line(reason)}): expected {what} that can be read; check the path and the disk"


def file_state(found: os.stat_result) -> tuple[int, ...]:
    """What changes when a file does."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)
