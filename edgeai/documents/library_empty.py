"""A library that holds nothing any more leaves nothing on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgeai.documents.library import Library
from edgeai.documents.library_lock import LibraryBusyError, writer_lock


def discard_if_empty(folder: Path) -> bool:
    """Delete a library's folder where it has no documents and remembers no folders; whether it did.

    A library that another process writes into stays.
    """
    with Library.open(folder) as library:
        if library.files() or library.roots():
            return False
    try:
        with writer_lock(folder):
            shutil.rmtree(folder, ignore_errors=True)
    except LibraryBusyError:
        return False
    return True
