"""Paths in what a terminal pastes when files are dropped on it, and in what a person types after `/doc` or `/image`.

Terminals disagree: names come bare, quoted, with backslashes, as file:// addresses, one or several in a line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgeai.documents.read import is_readable
from edgeai.vision.sniff import is_picture

MAX_PASTE_CHARS = 20_000
_STARTS = re.compile(r"""\s*['"]?(?:file://|/|~/|[A-Za-z]:[\\/]|\\\\)""")


def may_be_paths(text: str) -> bool:
    """Whether a pasted text begins as a dropped path does; nothing is looked up."""
    return len(text) <= MAX_PASTE_CHARS and _STARTS.match(text) is not None


def dropped_files(text: str) -> list[Path]:
    """The documents and pictures that a pasted text names; none unless all of the text is names of readable files."""
    return _named(text, _may_be_dropped) or []


def typed_paths(text: str, folder: Path) -> list[Path]:
    """The paths that a person names: what is there as it is written, else its words; whether they exist or not.

    Args:
        text: one or several files, folders or globs.
        folder: where relative ones begin.
    """
    found = _named(text, lambda path: _is((folder / path).exists))
    return [folder / path for path in found or list(_last(text))]


def _named(text: str, fits: Callable[[Path], bool]) -> list[Path] | None:
    """The first way to read a text as paths in which all of them fit."""
    for names in _readings(text):
        paths = [_path(name) for name in names]
        if paths and all(fits(path) for path in paths):
            return list(dict.fromkeys(paths))
    return None


def _readings(text: str) -> Iterator[Sequence[str]]:
    """How a text may be meant: one name as it stands, one a line, or words as a shell has them."""
    text = text.strip()
    yield [text]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        yield lines
    if (words := _words(text)) is not None:
        yield words


def _may_be_dropped(path: Path) -> bool:
    return path.is_absolute() and (is_readable(path) or is_picture(path)) and _is(path.is_file)


def _last(text: str) -> Iterator[Path]:
    words = _words(text)
    yield from map(_path, words if words else [text.strip()])


def _words(text: str) -> list[str] | None:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that does not end
        return None


def _path(name: str) -> Path:
    if name.startswith("file://"):
        try:
            name = unquote(urlsplit(name).path, errors="surrogateescape")
        except ValueError:  # no address after all
            return Path(name)
        if re.match(r"/[A-Za-z]:/", name):
            name = name[1:]
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~nobody
        return Path(name)


def _is(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (OSError, ValueError):  # too long, or a null byte in it
        return False
