"""One writer at a time in a library's folder; a killed one lets go by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeai.errors import DocumentError
from edgeai.file_lock import FileLockedError, lock_file

_POLL_S = 0.1


class LibraryBusyError(DocumentError):
    """Another process writes into the library."""


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the lock within the block.

    Raises:
        LibraryBusyError: somebody else holds it.
    """
    try:
        descriptor = lock_file(folder / "library.lock")
    except FileLockedError as exc:
        raise LibraryBusyError(
            f"{folder}: another process is writing into this library: wait for it to end; searching goes on"
        ) from exc
    except OSError as exc:
        raise DocumentError(f"{folder}: cannot be written ({exc.strerror}): check the rights of the folder") from exc
    try:
        yield
    finally:
        os.close(descriptor)


def wait_until_free(folder: Path) -> None:
    """Return as soon as nobody holds the lock; somebody may take it at once.

    Raises:
        DocumentError: the folder cannot be written.
    """
    while True:
        try:
            with writer_lock(folder):
                return
        except LibraryBusyError:
            time.sleep(_POLL_S)
