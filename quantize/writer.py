"""Writes an artifact to the disk whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edgeai.errors import QuantizeError
from edgeai.files import free_bytes, sync_dir

if sys.platform != "win32":
    import fcntl

_SUFFIX = ".quantizing"
_WORK_PREFIX, _LOCK, _WORK = ".quantize-", "lock", "work"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HEADROOM_BYTES = 2**20  # for what the file system itself writes


def check_target(target: Path, source: Path, *, force: bool) -> None:
    """Refuse what cannot be the artifact's place.

    Raises:
        QuantizeError: it is a folder or a device, exists and is not to be replaced, or is the source or a part of it.
    """
    if not os.path.lexists(target):
        return
    if target.exists() and not target.is_dir() and not target.is_file():
        raise QuantizeError(f"{target} is no regular file, which could be replaced: choose another name with --out")
    if source.is_dir() and target.parent.samefile(source) and target.suffix.lower() != ".gguf":
        raise QuantizeError(f"{target} is a part of the checkpoint itself: choose another name with --out")
    if target.is_dir():
        raise QuantizeError(f"{target} is a folder, expected the artifact's file: name one in it with --out")
    if not force:
        raise QuantizeError(f"{target} exists: choose another name with --out, or replace it with --force")
    if source.exists() and target.exists() and source.samefile(target):
        raise QuantizeError(f"{target} is the source itself: choose another name with --out")


def check_room(target: Path, n_bytes: int) -> None:
    """Refuse before the work begins what the disk cannot hold, after what killed processes left there is cleared away.

    Raises:
        QuantizeError: with both numbers.
    """
    _remove_left_over(target.parent)
    _remove_left_over_dirs(target.parent)
    needed, free = n_bytes + _HEADROOM_BYTES, free_bytes(target.parent)
    with contextlib.suppress(OSError):
        free += _staging_path(target).stat().st_size  # of a run that was killed; it is written over
    if needed > free:
        raise QuantizeError(
            f"{target}: {needed:,} bytes are needed and {free:,} are free on the disk: "
            "make room, or choose another place with --out"
        )


@contextmanager
def staged(target: Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """A file beside `target` that takes its place when the block ends well, and is gone when it does not.

    What a killed process left behind, here or beside another target in the folder, is cleared away.

    Args:
        target: the file to make.
        replace: whether one that is there is replaced.
    Raises:
        QuantizeError: the disk is full or cannot be written, the target has come into being meanwhile, or another
            process is making it.
    """
    staging = _staging_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(target.parent)
        file = _open_alone(staging)
    except OSError as exc:
        raise unwritable(target, exc) from exc
    try:
        yield file
        _put(file, staging, target, replace=replace)
    except BaseException as exc:
        if os.name == "nt":  # which does not remove open files
            _close(file)
        staging.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise unwritable(target, exc) from exc
        raise
    finally:
        _close(file)


@contextmanager
def work_dir(folder: Path) -> Iterator[Path]:
    """A folder for files that are needed for a while, gone when the block ends. Those of killed processes go now.

    Args:
        folder: what it is made in, itself made where it is not there. It is not to be trusted.
    Raises:
        QuantizeError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_left_over_dirs(folder)
        outer, lock = _locked_dir(folder)
    except OSError as exc:
        raise unwritable(folder, exc) from exc
    try:
        work = outer / _WORK
        work.mkdir()
        yield work
    finally:
        _close(lock)
        _remove_dir(outer)


def move(path: Path, target: Path, *, replace: bool) -> None:
    """Give a whole file of a `work_dir` beside it its name.

    Raises:
        QuantizeError: the target has come into being meanwhile, or cannot be written.
    """
    if not replace and os.path.lexists(target):
        raise _came_meanwhile(target)
    try:
        path.replace(target)
        sync_dir(target.parent)
    except OSError as exc:
        raise unwritable(target, exc) from exc


def _came_meanwhile(target: Path) -> QuantizeError:
    return QuantizeError(f"{target} has come into being meanwhile: choose another name with --out")


def _staging_path(target: Path) -> Path:
    return target.with_name(f".{target.name}{_SUFFIX}")


def _put(file: BinaryIO, staging: Path, target: Path, *, replace: bool) -> None:
    file.flush()
    os.fsync(file.fileno())
    if not replace and os.path.lexists(target):
        raise _came_meanwhile(target)
    if os.name == "nt":
        file.close()
    staging.replace(target)  # before the lock is given up: another process could take it for a left-over
    sync_dir(target.parent)


def unwritable(target: Path, exc: OSError) -> QuantizeError:
    """The error for an artifact that the disk does not take."""
    advice = "make room" if exc.errno in _NO_ROOM else "check the rights of its folder"
    return QuantizeError(
        f"{target}: cannot be written ({exc.strerror or exc}): {advice}, or choose another place with --out"
    )


def _close(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):  # what is left in the buffer of a full disk
        file.close()


def _open_alone(staging: Path) -> BinaryIO:
    """Create the file, or take over one that a killed process left; locked while it is open."""
    while True:
        file = _open(staging, os.O_CREAT)
        try:
            if _lock(file) is False:
                raise QuantizeError(f"{staging}: another process is making this artifact: wait for it to end")
            if os.path.lexists(staging) and os.path.samestat(os.fstat(file.fileno()), staging.lstat()):
                file.truncate(0)
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # another process cleared it away between our opening and locking it


def _remove_left_over(folder: Path) -> None:
    """Clear away what killed processes left, which is what nobody holds a lock on."""
    for path in folder.glob(f".*{_SUFFIX}"):
        with contextlib.suppress(OSError), _open(path) as file:
            if _lock(file):
                path.unlink(missing_ok=True)


def _locked_dir(folder: Path) -> tuple[Path, BinaryIO]:
    """A new folder, and its lock, which is held."""
    while True:
        outer = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=folder))
        lock = _open(outer / _LOCK, os.O_CREAT)
        if _lock(lock) is not False and (outer / _LOCK).exists():
            return outer, lock
        _close(lock)  # another process cleared it away between our making and locking it


def _remove_left_over_dirs(folder: Path) -> None:
    for path in folder.glob(f"{_WORK_PREFIX}*"):
        if path.is_symlink():
            continue
        with contextlib.suppress(OSError), _open(path / _LOCK) as file:
            if _lock(file):
                _remove_dir(path)


def _remove_dir(outer: Path) -> None:
    """The lock last: what is left when this is cut short must be known as left over."""
    shutil.rmtree(outer / _WORK, ignore_errors=True)
    shutil.rmtree(outer, ignore_errors=True)


def _open(path: Path, flags: int = 0) -> BinaryIO:
    """Open for writing what stands there, not what a link or a pipe of this name leads to."""
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    return os.fdopen(os.open(path, os.O_WRONLY | flags, 0o666), "wb")


def _lock(file: BinaryIO) -> bool | None:
    """Whether the file is ours alone; None where there are no locks, as on some network file systems."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
