"""Files that a message brings along: `@notes.txt` in it, the file's text behind it.

The text goes into the stored message, so that a conversation stays whole when the file changes or goes away. What is
no plain text, or too much of it, is read as a document of the conversation instead (`documents_in`); a picture is
attached to the message (`pictures_in`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgeai.documents.read import KINDS, is_readable
from edgeai.errors import EdgeAIError
from edgeai.safe_text import one_line
from edgeai.vision.sniff import is_picture

MAX_FILE_BYTES = 1_000_000

_LOOKED_AT = 8192  # bytes, to see whether a file is text
_PACKED = frozenset({"pdf", "docx", "pptx", "xlsx", "epub"})
_MENTION = re.compile(r'(?:^|(?<=\s))@(?:"([^"\n]+)"|(\S+))')
_ATTACHED = re.compile(r'\n\n<file name="([^"\n]*)">\n(.*?)\n</file>(?=\n\n<file name="|\Z)', re.DOTALL)


class AttachmentError(EdgeAIError, ValueError):
    """A file that a message names cannot go with it."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that went with a message.

    Attributes:
        name: as the message names it.
        n_characters: of its text.
    """

    name: str
    n_characters: int


def mention(path: Path, folder: Path) -> str:
    """How a message names a file: relative to the folder where that is shorter."""
    name = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    return f'@"{name}"' if re.search(r"\s", name) else f"@{name}"


def with_files(text: str, folder: Path) -> str:
    """A message with the text of the files that it names.

    A word like `@alice` that names no file stays a word.

    Raises:
        AttachmentError: a file that is not text, too large, or cannot be read.
    """
    parts = [
        f'\n\n<file name="{one_line(name)}">\n{_read(path)}\n</file>'
        for name, path in _mentioned(text, folder)
        if not _is_document(path) and not is_picture(path)
    ]
    return text + "".join(parts)


def documents_in(text: str, folder: Path) -> list[Path]:
    """The files that a message names and that are read as documents."""
    return [path for _, path in _mentioned(text, folder) if not is_picture(path) and _is_document(path)]


def pictures_in(text: str, folder: Path) -> list[Path]:
    """The files that a message names and that are pictures."""
    return [path for _, path in _mentioned(text, folder) if is_picture(path)]


def split_files(content: str) -> tuple[str, list[Attached]]:
    """What the user typed, and the files that went with it."""
    found = list(_ATTACHED.finditer(content))
    if not found or found[-1].end() != len(content):
        return content, []
    return content[: found[0].start()], [Attached(match[1], len(match[2])) for match in found]


def _mentioned(text: str, folder: Path) -> list[tuple[str, Path]]:
    names = dict.fromkeys(quoted or bare for quoted, bare in _MENTION.findall(text))
    return [(name, folder / name) for name in names if _is_file(folder / name)]


def _is_document(path: Path) -> bool:
    """Whether a file is readable, but not as plain text of a message's size."""
    if not is_readable(path):
        return False
    try:
        return KINDS.get(path.suffix.lower()) in _PACKED or path.stat().st_size > MAX_FILE_BYTES or _has_nul(path)
    except OSError:
        return False


def _has_nul(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" in file.read(_LOOKED_AT)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or a null byte in it
        return False


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise AttachmentError(
                f"{path} has {size:,} bytes: a message takes files of at most {MAX_FILE_BYTES:,} bytes"
            )
        data = path.read_bytes()
    except OSError as exc:
        raise AttachmentError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    if b"\0" in data[:_LOOKED_AT]:
        raise AttachmentError(f"{path} is not a text file: choose a file with plain text")
    return data.decode("utf-8", errors="replace").strip("\n")
