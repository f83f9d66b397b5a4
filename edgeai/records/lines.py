"""Lines of text in any encoding, one after the other; a line that cannot be is told, and the next one comes."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Generator
from typing import BinaryIO, NamedTuple

from edgeai.documents.reading.encoding import encoding_of, is_binary
from edgeai.errors import DocumentError, OptionError
from edgeai.records.source import Source
from edgeai.records.types import MAX_ROW_CHARS

_MARK = "edgeai.wrong-byte"
_MARKED = re.compile("[\ud800-\udfff]")
_MAX_NULS = 3  # lines with them are broken rows; a binary file has many
_MAX_WRONG = 0.1  # of the lines beyond ASCII: with more it is another encoding, not a torn line


class Line(NamedTuple):
    """A line.

    Attributes:
        number: from 1.
        text: with its end; "" where it cannot be read.
        why: it cannot be read; "" where it can.
    """

    number: int
    text: str
    why: str = ""


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Put a lone surrogate, which no decoder makes, in the place of each byte that is wrong."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARK, _mark)


def lines_of(file: BinaryIO, encoding: str) -> Generator[Line]:
    """The lines of a file; memory holds one of them.

    Args:
        file: from its beginning.
        encoding: see `text_encoding`.
    """
    text = io.TextIOWrapper(file, encoding, errors=_MARK, newline="")
    try:
        number = 0
        while found := text.readline(MAX_ROW_CHARS):
            number += 1
            if number == 1:
                found = found.removeprefix("\ufeff")
            if len(found) == MAX_ROW_CHARS and not found.endswith(("\n", "\r")):
                while (more := text.readline(MAX_ROW_CHARS)) and not more.endswith(("\n", "\r")):
                    pass
                yield Line(number, "", f"more than {MAX_ROW_CHARS:,} characters without the end of a line")
            elif wrong := _MARKED.search(found):
                byte = ord(wrong.group()) & 0xFF
                yield Line(number, "", f"byte 0x{byte:02x} at character {wrong.start() + 1:,} is not {encoding}")
            elif "\0" in found:
                yield Line(number, "", f"a null byte at character {found.index(chr(0)) + 1:,}")
            else:
                yield Line(number, found)
    finally:
        text.detach()  # whoever opened the file closes it


def text_encoding(source: Source, wanted: str | None) -> str:
    """The encoding that a text is read in: the wanted one, or the one that it most likely is in.

    Raises:
        OptionError: there is no such encoding.
        DocumentError: this is no text, or clearly not in the wanted encoding.
    """
    if is_binary(source.sample if source.sample.count(b"\0") > _MAX_NULS else source.sample.replace(b"\0", b"")):
        raise DocumentError(f"{source.name}: it is binary: expected text; for Parquet name it .parquet or say --format")
    guess = _guess(source)
    if wanted is None:
        return guess
    try:
        known = codecs.lookup(wanted)
        "".encode(wanted)
    except (LookupError, ValueError) as exc:  # ValueError: a NUL
        raise OptionError(f"--encoding {wanted[:40]!r}: no such encoding: expected one as in utf-8, cp932") from exc
    if known.name != codecs.lookup(guess).name and _is_wrong(source.letters or source.sample, wanted):
        raise DocumentError(f"{source.name}: it is not {wanted}, but most likely {guess}: leave --encoding out, or so")
    return wanted


def _guess(source: Source) -> str:
    """By the first bytes; where they are plain ASCII, by what comes later."""
    is_plain = source.sample.isascii() and b"\0" not in source.sample
    return encoding_of(source.letters if source.letters and is_plain else source.sample)


def _is_wrong(data: bytes, encoding: str) -> bool:
    lines = [data] if b"\0" in data else [line for line in data.split(b"\n") if not line.isascii()]
    return sum(not _is_valid(line, encoding) for line in lines) > _MAX_WRONG * len(lines)


def _is_valid(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeError, ValueError):
        return False
    return True
