"""A lock that one process holds on a file; the end of the process lets go of it, whatever ends it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


class FileLockedError(OSError):
    """Somebody else holds the lock."""


def lock_file(path: Path) -> int:
    """Open a file, made where there is none, and lock it.

    Returns:
        Its descriptor: to close it is to let go.
    Raises:
        FileLockedError: somebody else holds the lock, in this process or another.
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
    except OSError as exc:
        os.close(descriptor)
        raise FileLockedError(f"{path}: held by another: wait for it to end") from exc
    return descriptor


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
