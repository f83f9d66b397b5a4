"""Files, folders and globs to the files that they stand for."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from edgeai.errors import EdgeAIError
from edgeai.safe_text import one_line

Error = TypeVar("Error", bound=EdgeAIError)


@dataclass(frozen=True, slots=True)
class Sought(Generic[Error]):
    """What is looked for.

    Attributes:
        what: one of them, without an article, such as "document".
        examples: names that it may have, such as ".pdf, .docx".
        is_one: whether a file of this name is one.
        error: of paths that stand for none.
    """

    what: str
    examples: str
    is_one: Callable[[Path], bool]
    error: type[Error]

    def wrong(self, path: Path, words: str) -> Error:
        """The error for a path."""
        return self.error(f"{one_line(str(path))}: {words}")


def find_files(paths: Iterable[str | os.PathLike[str]], sought: Sought[Error]) -> Iterator[Path | Error]:
    """The files that paths stand for, each once; what stands for none is an error among them, and the rest goes on.

    A file stands for itself, whatever it is called. A folder stands for what is sought in it and in the folders below,
    by name, hidden ones left out; links are followed, each folder is entered once. What is neither is taken for a glob
    (`*`, `?`, `[…]`, `**`).
    """
    seen: set[str] = set()
    for path in paths:
        for found in _stands_for(Path(path), sought):
            if isinstance(found, EdgeAIError):
                yield found
                continue
            real = os.path.realpath(found)
            if real not in seen:
                seen.add(real)
                yield found


def _stands_for(path: Path, sought: Sought[Error]) -> Iterator[Path | Error]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as exc:
        yield from _matches(path, exc, sought)
        return
    if not stat.S_ISDIR(mode):
        yield path
        return
    n_found = 0
    for found in _below(path, sought):
        n_found += 1
        yield found
    if not n_found:
        words = f"no {sought.what} stands in this folder: expected files like {sought.examples}; name a file"
        yield sought.wrong(path, words)


def _matches(pattern: Path, why: OSError | ValueError, sought: Sought[Error]) -> Iterator[Path | Error]:
    if not glob.has_magic(str(pattern)) or "\0" in str(pattern):
        missing = isinstance(why, FileNotFoundError)
        reason = "no such file or folder" if missing else f"cannot be looked at ({one_line(_reason(why))})"
        yield sought.wrong(pattern, f"{reason}: expected a {sought.what}, a folder or a glob; check the path")
        return
    n_found = 0
    for name in sorted(glob.iglob(str(pattern), recursive=True)):  # noqa: PTH207 - pathlib takes no absolute pattern
        path = Path(name)
        if _is_file(path) and sought.is_one(path):
            n_found += 1
            yield path
    if not n_found:
        words = f"matches no {sought.what}: expected files like {sought.examples}; check the pattern"
        yield sought.wrong(pattern, words)


def _below(folder: Path, sought: Sought[Error]) -> Iterator[Path | Error]:
    """What is sought in a folder and in those below, without recursion: folders may be nested deeper than calls."""
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
            words = f"cannot be listed ({one_line(_reason(exc))}): expected a folder you may read; skip it"
            yield sought.wrong(here, words)
            continue
        folders = []
        for name in names:
            path = here / name
            if _is_folder(path):
                folders.append(path)
            elif sought.is_one(path) and _is_file(path):
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
