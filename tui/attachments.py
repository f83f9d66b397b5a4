"""Text files that a message brings along: `@notes.txt` in it, the file's text behind it.

The text goes into the stored message, so that a conversation stays whole when the file changes or goes away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgeai.errors import EdgeAIError
from edgeai.safe_text import one_line

MAX_FILE_BYTES = 1_000_000

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
    names = dict.fromkeys(quoted or bare for quoted, bare in _MENTION.findall(text))
    parts = [
        f'\n\n<file name="{one_line(name)}">\n{_read(folder / name)}\n</file>'
        for name in names
        if _is_file(folder / name)
    ]
    return text + "".join(parts)


def split_files(content: str) -> tuple[str, list[Attached]]:
    """What the user typed, and the files that went with it."""
    found = list(_ATTACHED.finditer(content))
    if not found or found[-1].end() != len(content):
        return content, []
    return content[: found[0].start()], [Attached(match[1], len(match[2])) for match in found]


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
    if b"\0" in data[:8192]:
        raise AttachmentError(f"{path} is not a text file: choose a file with plain text")
    return data.decode("utf-8", errors="replace").strip("\n")
