"""Files, folders and globs to the documents that they stand for."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeai.documents.reading.kinds import is_readable
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line


def find_documents(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path | DocumentError]:
    """The files that paths stand for, each once; what stands for none is an error among them, and the rest goes on.

    A file stands for itself, whatever it is called. A folder stands for the readable kinds of files in it and in the
    folders below, by name, hidden ones left out; links are followed, each folder is entered once. What is neither is
    taken for a glob (`*`, `?`, `[…]`, `**`).
    """
    seen: set[str] = set()
    for path in paths:
        for found in _stands_for(Path(path)):
            if isinstance(found, DocumentError):
                yield found
                continue
            real = os.path.realpath(found)
            if real not in seen:
                seen.add(real)
                yield found


def _stands_for(path: Path) -> Iterator[Path | DocumentError]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as exc:
        yield from _matches(path, exc)
        return
    if not stat.S_ISDIR(mode):
        yield path
        return
    n_found = 0
    for found in _below(path):
        n_found += 1
        yield found
    if not n_found:
        yield _error(path, "no document stands in this folder: expected files like .pdf, .docx, .md; name a file")


def _matches(pattern: Path, why: OSError | ValueError) -> Iterator[Path | DocumentError]:
    if not glob.has_magic(str(pattern)) or "\0" in str(pattern):
        missing = isinstance(why, FileNotFoundError)
        reason = "no such file or folder" if missing else f"cannot be looked at ({one_line(_reason(why))})"
        yield _error(pattern, f"{reason}: expected a document, a folder or a glob; check the path")
        return
    n_found = 0
    for name in sorted(glob.iglob(str(pattern), recursive=True)):  # noqa: PTH207 - pathlib takes no absolute pattern
        path = Path(name)
        if _is_file(path) and is_readable(path):
            n_found += 1
            yield path
    if not n_found:
        yield _error(pattern, "matches no document: expected files like .pdf, .docx, .md; check the pattern")


def _below(folder: Path) -> Iterator[Path | DocumentError]:
    """Readable files of a folder and of those below, without recursion: folders may be nested deeper than calls."""
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            found = here.stat()
            if (found.st_dev, found.st_ino) in entered:
                continue
            entered.add((found.st_dev, found.st_ino))
            with os.scandir(here) as entries:
                names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except OSError as exc:
            yield _error(here, f"cannot be listed ({one_line(_reason(exc))}): expected a folder you may read; skip it")
            continue
        folders = []
        for name in names:
            path = here / name
            if _is_folder(path):
                folders.append(path)
            elif is_readable(path) and _is_file(path):
                yield path
        waiting += reversed(folders)


def _is_file(path: Path) -> bool:
    return _has_mode(path, stat.S_IFREG)


def _is_folder(path: Path) -> bool:
    return _has_mode(path, stat.S_IFDIR)


def _has_mode(path: Path, kind: int) -> bool:
    try:
        return stat.S_IFMT(path.stat().st_mode) == kind
    except (OSError, ValueError):  # a link into nothing, or around in a ring
        return False


def _reason(error: OSError | ValueError) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _error(path: Path, words: str) -> DocumentError:
    return DocumentError(f"{one_line(str(path))}: {words}")
