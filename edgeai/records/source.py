"""The bytes that rows are read from: a file, or what is piped in; looked through once, before all else."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from edgeai import regular_file
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line

SAMPLE_BYTES = 1 << 18
_PIECE_BYTES = 1 << 20
_MAX_BYTES = 1 << 50
_EXPECTED = "rows as CSV, JSONL, Parquet or lines"
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


@dataclass(slots=True)
class _Look:
    """What is seen while bytes pass: see `Source`."""

    sha256: str = ""
    n_bytes: int = 0
    n_lines: int = 0
    sample: bytes = b""
    letters: bytes = b""
    state: tuple[int, ...] = ()


class Source:
    """Bytes that can be read again and again, but for a stream that is not kept.

    Attributes:
        name: to show; one line.
        sha256: of all bytes; "" of a stream that is not kept.
        n_lines: ends of lines, which rows have about as many of; 0 where that is not known.
        sample: the first bytes, whole lines where that can be.
        letters: lines from where the first byte beyond ASCII stands; empty where there is none, or the sample has it.
    """

    def __init__(self, name: str, look: _Look, *, path: Path | None = None, stream: BinaryIO | None = None) -> None:
        self.name = name
        self.sha256, self.n_lines, self.sample, self.letters = look.sha256, look.n_lines, look.sample, look.letters
        self._path, self._stream = path, stream
        self._state = look.state

    @property
    def is_kept(self) -> bool:
        """Whether it can be read more than once."""
        return bool(self.sha256)

    def open(self) -> BinaryIO:
        """Its bytes from the first on.

        Raises:
            DocumentError: the file is not the one any more that was looked through.
        """
        if self._stream is not None:
            if self.is_kept:
                self._stream.seek(0)
                return os.fdopen(os.dup(self._stream.fileno()), "rb")
            return self._stream
        assert self._path is not None
        try:
            file = self._path.open("rb")
        except OSError as exc:
            raise DocumentError(f"{self.name}: {regular_file.why_not(exc, _EXPECTED)}") from exc
        try:
            self._check(file)
        except DocumentError:
            file.close()
            raise
        return file

    def close(self) -> None:
        """What is kept of a stream is not needed any more."""
        if self._stream is not None and self.is_kept:
            self._stream.close()

    def check(self, file: BinaryIO) -> None:
        """See, when all was read, that it still is what it was.

        Raises:
            DocumentError: it has changed.
        """
        if self._path is not None:
            self._check(file)

    def _check(self, file: BinaryIO) -> None:
        if regular_file.file_state(os.fstat(file.fileno())) != self._state:
            raise DocumentError(f"{self.name}: {regular_file.CHANGED}")


def file_source(path: Path) -> Source:
    """A file, read once from its beginning to its end.

    Raises:
        DocumentError: it cannot be read, or is no regular file with something in it.
    """
    name = one_line(str(path))
    try:
        with regular_file.opened(path, _EXPECTED, _MAX_BYTES, DocumentError) as (file, found):
            look = _look(file)
            look.state = regular_file.file_state(found)
            return Source(name, look, path=path)
    except DocumentError as exc:
        raise DocumentError(f"{name}: {exc}") from exc


def stream_source(stream: BinaryIO, *, keep: bool, name: str = "stdin") -> Source:
    """What is piped in.

    Args:
        stream: buffered.
        keep: read it to its end first, into a file that is gone with this process.
        name: to show.
    """
    if keep:
        kept = cast("BinaryIO", tempfile.TemporaryFile(prefix="edgeai-"))  # noqa: SIM115 - it lives as the source does
        return Source(name, _look(stream, kept), stream=kept)
    peek = getattr(stream, "peek", None)
    look = _Look(sample=_whole_lines(peek(SAMPLE_BYTES)) if peek else b"")
    return Source(name, look, stream=stream)


def _look(file: BinaryIO, copy: BinaryIO | None = None) -> _Look:
    look, digest = _Look(), hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
        if copy is not None:
            copy.write(piece)
        if not look.n_bytes:
            look.sample = _cut(piece)
        if not look.letters and look.sample.isascii() and (found := _BEYOND_ASCII.search(piece)):
            start = piece.rfind(b"\n", 0, found.start()) + 1
            look.letters = _cut(piece[start:])
        look.n_bytes += len(piece)
        look.n_lines += piece.count(b"\n")
    if copy is not None:
        copy.flush()
    look.sha256 = digest.hexdigest()
    return look


def _cut(piece: bytes) -> bytes:
    return piece if len(piece) <= SAMPLE_BYTES else _whole_lines(piece[:SAMPLE_BYTES])


def _whole_lines(data: bytes) -> bytes:
    """Without a last line that was cut, perhaps in the middle of a character."""
    end = data.rfind(b"\n") + 1
    return data if b"\0" in data or not end else data[:end]
