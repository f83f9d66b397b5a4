"""Folders for what documents say while a process searches them: its user's alone, and gone with the process.

A killed process cannot remove its own; the next one to make a folder does, told by the lock that nobody holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from edgeai.errors import DocumentError
from edgeai.file_lock import FileLockedError, lock_file
from edgeai.paths import cache_dir

_LOCK = "lock"
_N_TRIES = 9


class ScratchFolder:
    """A new folder.

    Attributes:
        path: where it is.
    """

    def __init__(self) -> None:
        """
        Raises:
            DocumentError: it cannot be made; one line that says what to do.
        """
        parent = cache_dir() / "documents"
        try:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _clear(parent)
            self.path, self._lock = _made(parent)
        except OSError as exc:
            raise DocumentError(
                f"{parent}: documents cannot be made searchable here ({exc.strerror or exc}): free some disk space, "
                "check the rights of the folder, or set EDGEAI_HOME to another one"
            ) from exc

    def remove(self) -> None:
        """Remove it with all that is in it. Only once."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _made(parent: Path) -> tuple[Path, int]:
    """A folder and its lock. Before it is locked, another process may take it for a killed one's, and remove it."""
    for _ in range(_N_TRIES):
        path = Path(tempfile.mkdtemp(dir=parent))
        with contextlib.suppress(FileNotFoundError, FileLockedError):
            lock = lock_file(path / _LOCK)
            if path.exists():
                return path, lock
            os.close(lock)
    raise FileLockedError(f"other processes remove what is made, {_N_TRIES} times")


def _clear(parent: Path) -> None:
    """Remove what killed processes have left."""
    for path in parent.iterdir():
        with contextlib.suppress(OSError):  # in use, or gone by now
            lock = lock_file(path / _LOCK)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
