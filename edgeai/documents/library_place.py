"""Where a user's libraries of documents are: one folder a name, below the data folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from edgeai.errors import DocumentError
from edgeai.paths import data_dir
from edgeai.safe_text import one_line

DEFAULT_LIBRARY = "default"
_NAME = re.compile(r"\w[\w-]{0,59}")  # of any script; no dot, so that no name leads elsewhere
_DEVICES = re.compile("con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)  # no file of Windows can be called so


def libraries_dir() -> Path:
    """The folder of all libraries; it need not exist."""
    return data_dir() / "libraries"


def library_dir(name: str = DEFAULT_LIBRARY) -> Path:
    """The folder of a library; it need not exist.

    Args:
        name: letters, digits, `_` and `-`, at most 60.
    Raises:
        DocumentError: it is no such name.
    """
    name = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(name) or len(name.encode()) > 200 or _DEVICES.fullmatch(name):
        raise DocumentError(
            f"library {one_line(name)[:80]!r}: expected a name of at most 60 letters, digits, '-' and '_': "
            "choose another, such as manuals"
        )
    return libraries_dir() / name


def existing_library_dir(name: str = DEFAULT_LIBRARY) -> Path:
    """The folder of a library that is there.

    Raises:
        DocumentError: it is no name of a library, or there is none of this name; it says how one is made.
    """
    folder = library_dir(name)
    if not _is_library(folder):
        option = "" if name == DEFAULT_LIBRARY else f" --library {name}"
        others = [other for other in library_names() if other != name]
        known = f" (there are: {', '.join(others[:10])})" if others else ""
        raise DocumentError(f"library {name}: nothing was added to it yet{known}: run `edgeai docs add{option} PATH`")
    return folder


def library_names() -> list[str]:
    """The names of all libraries that are there, sorted."""
    try:
        found = [folder.name for folder in libraries_dir().iterdir() if _is_library(folder)]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise DocumentError(
            f"{libraries_dir()}: cannot be listed ({exc.strerror}): check the rights of the folder"
        ) from exc
    return sorted(name for name in found if _NAME.fullmatch(name))


def _is_library(folder: Path) -> bool:
    return (folder / "library.sqlite").is_file()
