"""One writer at a time in a library's folder; a killed one lets go by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeai.errors import DocumentError


class LibraryBusyError(DocumentError):
    """Another process writes into the library."""


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the lock within the block.

    Raises:
        LibraryBusyError: somebody else holds it.
    """
    try:
        descriptor = os.open(folder / "library.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise DocumentError(f"{folder}: cannot be written ({exc.strerror}): check the rights of the folder") from exc
    try:
        try:
            _lock(descriptor)
        except OSError as exc:
            raise LibraryBusyError(
                f"{folder}: another process is writing into this library: wait for it to end; searching goes on"
            ) from exc
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
