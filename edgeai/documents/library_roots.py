"""The folders and globs that a library was given, so that an update finds new files in them too."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeai.documents.library_db import LibraryDatabase
from edgeai.documents.library_rows import path_key, path_prefix
from edgeai.documents.read import find_documents
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line

_TOLD_EACH = 200


@dataclass(slots=True)
class Found:
    """The files that paths stand for.

    Attributes:
        paths: the files.
        failed: a line for each path that stands for none.
        n_empty: files of no bytes that nobody named; they are not among `paths`.
        away: folders that are not there at the moment.
    """

    paths: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    n_empty: int = 0
    away: list[Path] = field(default_factory=list)


def find(paths: Sequence[Path], on_found: Callable[[int], None] | None = None) -> Found:
    """What paths stand for: a file for itself, a folder or a glob for the documents that it holds.

    Args:
        paths: files, folders and globs.
        on_found: told, now and then, how many files there are so far.
    """
    found, named = Found(), set(paths)
    for number, item in enumerate(find_documents(paths), 1):
        if on_found and number % _TOLD_EACH == 0:
            on_found(number)
        if isinstance(item, DocumentError):
            found.failed.append(str(item))
        elif item not in named and _is_empty(item):
            found.n_empty += 1
        else:
            found.paths.append(item)
    return found


def find_again(db: LibraryDatabase, on_found: Callable[[int], None] | None = None) -> Found:
    """What a library's folders and globs stand for now, without what was taken out of it."""
    kept = roots(db)
    away = [root for root in kept if not _is_glob(root) and not os.path.isdir(root)]  # noqa: PTH112 - never raises
    here = [root for root in kept if root not in away]
    found = find(here, on_found)
    left_out = [path_key(path) for path in _stored(db, is_left_out=True)]
    exact, below = set(left_out), tuple(path_prefix(Path(os.fsdecode(key))) for key in left_out)
    keys = ((path, path_key(path)) for path in found.paths)
    found.paths = [path for path, key in keys if key not in exact and not key.startswith(below)]
    may_be_empty = tuple(f"{one_line(str(root))}: " for root in here if _is_glob(root) or os.access(root, os.R_OK))
    found.failed = [line for line in found.failed if not line.startswith(may_be_empty)]
    found.failed += [_away(root) for root in away]
    found.away = away
    return found


def roots(db: LibraryDatabase) -> list[Path]:
    """The folders and globs of a library, in the order in which they were given."""
    return _stored(db, is_left_out=False)


def remember(db: LibraryDatabase, paths: Iterable[Path]) -> None:
    """Keep those of the paths that are folders or globs; nothing at or below any of them is left out any more."""
    given = [(path_key(path), path_prefix(path), _is_root(path)) for path in paths]
    with db.transaction() as run:
        for key, prefix, is_root in given:
            if is_root:
                run.execute("INSERT OR IGNORE INTO roots VALUES (?, 0)", (key,))
                run.execute("UPDATE roots SET is_left_out = 0 WHERE path = ?", (key,))
            run.execute(
                "DELETE FROM roots WHERE is_left_out AND (path = ? OR substr(path, 1, ?) = ?)", _at(key, prefix)
            )


def has(db: LibraryDatabase, path: Path) -> bool:
    """Whether a folder or glob at or below a path is kept."""
    where = "NOT is_left_out AND (path = ? OR substr(path, 1, ?) = ?)"
    return bool(db.read(f"SELECT 1 FROM roots WHERE {where} LIMIT 1", *_at(path_key(path), path_prefix(path))))


def forget(db: LibraryDatabase, path: Path) -> None:
    """Keep no folder or glob at or below a path, and leave out what others find there."""
    key, prefix = path_key(path), path_prefix(path)
    with db.transaction() as run:
        run.execute("DELETE FROM roots WHERE path = ? OR substr(path, 1, ?) = ?", _at(key, prefix))
        if run.execute("SELECT 1 FROM roots WHERE NOT is_left_out").fetchone():
            run.execute("INSERT INTO roots VALUES (?, 1)", (key,))


def _at(key: bytes, prefix: bytes) -> tuple[bytes, int, bytes]:
    return key, len(prefix), prefix


def _stored(db: LibraryDatabase, *, is_left_out: bool) -> list[Path]:
    rows = db.read("SELECT path FROM roots WHERE is_left_out = ? ORDER BY rowid", is_left_out)
    return [Path(os.fsdecode(path)) for (path,) in rows]


def _is_root(path: Path) -> bool:
    return os.path.isdir(path) or (_is_glob(path) and not os.path.lexists(path))  # noqa: PTH112 - never raises


def _is_glob(path: Path) -> bool:
    return glob.has_magic(str(path))


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _away(root: Path) -> str:
    name = one_line(str(root))
    return f"{name}: this folder is not there, what was read of it stays: bring it back, or take it out with remove"
