"""Large files: copied and hashed in pieces, with progress, and written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

STAGING_PREFIX = ".staging-"
_CHUNK_BYTES = 1 << 20
_STALE_S = 24 * 3600


def no_progress(n_done: int, n_total: int) -> None:
    """The callback of those who do not want to know."""


def free_bytes(folder: Path) -> int:
    """Room on the disk that holds a folder, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def chunks(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def sha256(path: Path, on_progress: Progress = no_progress) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest, n_done, n_total = hashlib.sha256(), 0, path.stat().st_size
    for chunk in chunks(path):
        digest.update(chunk)
        n_done += len(chunk)
        on_progress(n_done, n_total)
    return digest.hexdigest()


def write_chunks(pieces: Iterable[bytes], path: Path, n_total: int, on_progress: Progress = no_progress) -> str:
    """Write a new file durably.

    Args:
        pieces: its content.
        path: the file; it must not exist.
        n_total: the size to report progress against, bytes.
        on_progress: told after each piece.
    Returns:
        The SHA-256 of what was written.
    """
    digest, n_done = hashlib.sha256(), 0
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)
            digest.update(piece)
            n_done += len(piece)
            on_progress(n_done, n_total)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replace a small text file: the old content stays until the new one is on the disk."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """The same of any small file. It is its owner's alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=STAGING_PREFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


@contextmanager
def staged_dir(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` when the block ends well, and is gone when it does not (Ctrl-C, a full disk).

    An older `target` is replaced. What a killed process left behind is cleared away after a day.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target.parent)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=STAGING_PREFIX))
    try:
        staging.chmod(0o755)
        yield staging
        _put(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _put(staging: Path, target: Path) -> None:
    """Rename the folder into place; one that was there is moved aside first, since a full folder is not overwritten."""
    sync_dir(staging)
    old = staging.with_name(staging.name + "-old")
    if target.exists() or target.is_symlink():
        target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    sync_dir(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync_dir(folder: Path) -> None:
    """Make renames within a folder durable. Windows cannot open folders, and needs it less."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(STAGING_PREFIX + "*"):
        try:
            is_stale = time.time() - path.stat().st_mtime > _STALE_S
        except FileNotFoundError:  # another process was faster
            continue
        if is_stale and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
