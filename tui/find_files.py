"""Finding a file below a folder by a few letters of its path, in bounded time on whatever the folder holds."""

from __future__ import annotations

import os
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from textual.fuzzy import FuzzySearch

from edgeai.safe_text import one_line

SKIPPED_FOLDERS = frozenset({"__pycache__", "bower_components", "node_modules", "site-packages", "venv"})
MAX_FILES = 20_000
MAX_DEPTH = 12
MAX_SECONDS = 5.0
MAX_QUERY = 100


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file.

    Attributes:
        path: for opening it.
        shown: its path below the root with /, as inert text on one line.
    """

    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class Match:
    """A file that the letters were found in.

    Attributes:
        offsets: where, in `file.shown`.
    """

    file: FoundFile
    offsets: Sequence[int] = ()


def walk(root: Path, stopped: Callable[[], bool] = lambda: False) -> Iterator[FoundFile]:
    """Regular files below root, the nearest first; hidden ones and build output are left out.

    Links to folders are not followed, so that a loop of links ends. Ends after MAX_FILES or MAX_SECONDS, or when
    `stopped` says so; folders that cannot be read are left out.
    """
    end = time.monotonic() + MAX_SECONDS
    folders = deque([(root, 0)])
    n_files = 0
    while folders:
        folder, depth = folders.popleft()
        for entry in _entries(folder):
            if n_files >= MAX_FILES or time.monotonic() > end or stopped():
                return
            kind = _kind(entry)
            if kind == "folder" and depth < MAX_DEPTH:
                folders.append((folder / entry.name, depth + 1))
            elif kind == "file":
                n_files += 1
                path = folder / entry.name
                yield FoundFile(path, _shown(path, root))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in the folder, by name; of a folder with millions of entries only the first are read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(islice(entries, MAX_FILES), key=lambda entry: entry.name)
    except OSError:
        return []


def _kind(entry: os.DirEntry[str]) -> str:
    """ "file", "folder", or "" for what is skipped: reading a pipe or a device would never end."""
    if entry.name.startswith("."):
        return ""
    try:
        if entry.is_dir(follow_symlinks=False):
            return "" if entry.name in SKIPPED_FOLDERS else "folder"
        return "file" if entry.is_file() else ""
    except OSError:
        return ""


def _shown(path: Path, root: Path) -> str:
    # macOS stores が as two characters, a keyboard sends one.
    return unicodedata.normalize("NFC", one_line(path.relative_to(root).as_posix()))


def rank(
    query: str, files: Sequence[FoundFile], limit: int, stopped: Callable[[], bool] = lambda: False
) -> list[Match]:
    """The best matches first; all files in their order for an empty query."""
    letters = "".join(unicodedata.normalize("NFC", query).lower().split())[:MAX_QUERY]
    if not letters:
        return [Match(file) for file in files[:limit]]
    score = FuzzySearch().score
    found: list[tuple[float, int, str, Match]] = []
    for file in files:
        if stopped():
            return []
        offsets = match_offsets(letters, file.shown.lower())
        if offsets:
            found.append((-score(file.shown, offsets), len(file.shown), file.shown, Match(file, offsets)))
    found.sort(key=lambda item: item[:3])
    return [item[3] for item in found[:limit]]


def match_offsets(letters: str, text: str) -> Sequence[int]:
    """Where the letters are in the text, in their order and as near to its end as they can be; empty if they are not.

    textual.fuzzy's own search tries every combination, and a file name of one repeated letter would take it for ever.
    """
    at = text.rfind(letters)
    if at >= 0:
        return range(at, at + len(letters))
    offsets: list[int] = []
    end = len(text)
    for letter in reversed(letters):
        end = text.rfind(letter, 0, end)
        if end < 0:
            return ()
        offsets.append(end)
    return offsets[::-1]
