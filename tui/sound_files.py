"""The sound files that paths stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeai.safe_text import one_line

_SUFFIXES = tuple(
    f".{ending}"
    for ending in (
        *("aac", "ac3", "aif", "aiff", "amr", "ape", "au", "caf", "flac", "m4a", "m4b", "mka", "mp2", "mp3", "oga"),
        *("ogg", "opus", "wav", "weba", "wma"),
        *("3gp", "avi", "flv", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts", "webm", "wmv"),
    )
)


def find_sounds(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Files for themselves, folders and globs for the sounds and videos that they hold.

    Returns:
        Each file once, and a line for each path that stands for none.
    """
    found: dict[Path, None] = {}
    failed: list[str] = []
    for path in paths:
        if path.is_dir():
            held = sorted(_below(path))
        elif not path.exists() and glob.has_magic(os.fspath(path)):
            names = glob.glob(os.fspath(path), recursive=True)  # noqa: PTH207 - the pattern may be absolute
            held = sorted(each for each in map(Path, names) if each.is_file())
        else:
            found[path] = None  # what is wrong with it is said by who reads it
            continue
        if not held:
            failed.append(f"{one_line(os.fspath(path))}: no sound or video there: expected files like talk.mp3")
        found.update(dict.fromkeys(held))
    return list(found), failed


def _below(folder: Path) -> Iterator[Path]:
    """Sounds below a folder, by their endings; hidden ones are left out, and links to folders are not followed."""
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(where, name)
            if not name.startswith(".") and path.suffix.lower() in _SUFFIXES and path.is_file():
                yield path
