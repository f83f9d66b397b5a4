"""Files to documents: `read_document` for one, `find_documents` for what folders and globs hold."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edgeai.documents.reading.finding import find_documents
from edgeai.documents.reading.kinds import KINDS, expected_kind, is_readable
from edgeai.documents.types import Document, OcrMode
from edgeai.errors import DocumentError, OptionError, PictureError
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.documents.reading.process import Content
    from edgeai.documents.scans import OnPage, Scans

__all__ = ["KINDS", "READER_VERSION", "file_state", "find_documents", "is_readable", "read_document", "read_pages"]

READER_VERSION = 1
"""Raise it where the same file gets another text or other places than before: libraries then read theirs again."""

_PIECE_BYTES = 2**20

Progress = Callable[[int, int], None]


def read_document(
    path: str | os.PathLike[str],
    *,
    password: str | None = None,
    keep: bool = False,
    keep_pages: bool = False,
    ocr: OcrMode = "auto",
    on_progress: Progress | None = None,
) -> Document:
    """Read a file in a sandboxed process.

    Args:
        path: a file of one of the kinds of `KINDS`. Its content decides what it is; its name only where that is text.
        password: of an encrypted PDF.
        keep: what is read beside the evaluated states, so that the same file need not be read again; not where a
            password was needed.
        keep_pages: that were recognised, and no more: a reading that was stopped goes on from there. `keep` does it
            too.
        ocr: pages of a PDF whose text is recognised: those without any where the extra `ocr` is installed ("auto"),
            all, or none. It takes seconds a page.
        on_progress: gets what is done and what there is, in pages, slides, sheets, or bytes.
    Returns:
        The document; what it says is hostile text, without control characters.
    Raises:
        DocumentError: it cannot be read. One line that names the file, what was expected and what to do.
        OptionError: `ocr` is "always", and the extra is not installed.
    """
    from edgeai.documents.scans import Scans

    keep = keep and password is None
    scans = Scans(ocr, keep=password is None and (keep or keep_pages))
    with _named(path):
        return _read(Path(path), password, on_progress, scans, keep=keep)


def read_pages(
    path: str | os.PathLike[str],
    on_page: OnPage,
    *,
    password: str | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Recognise the text of a PDF's pages, one after the other, and keep nothing of it.

    Args:
        path: the file.
        on_page: told of each page that is not empty.
        password: of an encrypted file.
        on_progress: as for `read_document`.
    Raises:
        DocumentError: it cannot be read.
        OptionError: the extra `ocr` is not installed.
        PictureError: the recognition of a page failed.
    """
    from edgeai.documents.scans import Pages

    pages = Pages(on_page)
    with _named(path), _opened(Path(path)) as (file, before):
        _content(file, Path(path), before.st_size, password, on_progress, pages)


@contextlib.contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the block as DocumentErrors that name the file."""
    try:
        yield
    except DocumentError as exc:
        words = f"{one_line(os.fspath(path))}: {exc}"
        raise DocumentError(words, needs_password=exc.needs_password) from exc.__cause__
    except (OptionError, PictureError):
        raise
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        raise DocumentError(f"{one_line(os.fspath(path))}: {_os_words(exc)}") from exc


def _read(path: Path, password: str | None, on_progress: Progress | None, scans: Scans, *, keep: bool) -> Document:
    with _opened(path) as (file, before):
        if keep:
            content, sha256 = _kept_content(file, path, before.st_size, on_progress, scans)
        else:
            content, sha256 = _content(file, path, before.st_size, password, on_progress, scans)
        if file_state(os.fstat(file.fileno())) != file_state(before):
            raise _changed()
    if not content.blocks:
        raise _without_text(content, scans.ocr)
    return Document(
        path=path,
        kind=content.kind,
        title=content.title or one_line(path.name),
        sha256=sha256,
        blocks=content.blocks,
        n_pages=content.n_pages,
        pages_without_text=content.pages_without_text,
        n_bytes=before.st_size,
        ocr=scans.ocr,
    )


def _kept_content(
    file: BinaryIO, path: Path, n_bytes: int, on_progress: Progress | None, scans: Scans
) -> tuple[Content, str]:
    """What the file holds, from the last time where nothing has changed; and its SHA-256."""
    from edgeai.documents.kept_text import keep_text, kept_text, text_key

    digest = hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    facts = (digest.hexdigest(), expected_kind(path) or "", _suffix(path), str(READER_VERSION))
    key = text_key(*facts, *scans.facts)
    if (content := kept_text(key)) is not None:
        return content, digest.hexdigest()
    file.seek(0)
    content, sha256 = _content(file, path, n_bytes, None, on_progress, scans)
    key = text_key(*facts, *scans.facts)  # as it was read: recognition may have proved impossible
    if content.blocks and sha256 == digest.hexdigest():
        keep_text(key, content)
    return content, sha256


def _content(
    file: BinaryIO, path: Path, n_bytes: int, password: str | None, on_progress: Progress | None, scans: Scans
) -> tuple[Content, str]:
    """What the file holds, and its SHA-256: the process gets the very bytes that are hashed here."""
    from edgeai.documents.reading.process import reading

    digest, n_read = hashlib.sha256(), 0
    kind, suffix = expected_kind(path), _suffix(path)
    ocr, on_scan = scans.ocr, scans if scans.ocr != "never" else None
    with reading(n_bytes, expected=kind, suffix=suffix, password=password, ocr=ocr, on_scan=on_scan) as process:
        while piece := file.read(_PIECE_BYTES):
            n_read += len(piece)
            if n_read > n_bytes:
                break
            digest.update(piece)
            process.feed(piece)
        if n_read != n_bytes:
            raise _changed()
        return process.content(on_progress), digest.hexdigest()


def _suffix(path: Path) -> str:
    return path.suffix.lower()[:16].encode("ascii", "replace").decode()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a regular file; nothing else is opened, as opening a pipe waits and opening a device may do things."""
    _check(path.stat())
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        _check(found)  # it may be another by now
        yield file, found


def _check(found: os.stat_result) -> None:
    from edgeai.documents.reading.limits import MAX_FILE_BYTES

    if stat.S_ISDIR(found.st_mode):
        raise DocumentError("it is a folder: expected a file; name a file in it, or add the folder as a whole")
    if not stat.S_ISREG(found.st_mode):
        raise DocumentError("it is a pipe, socket or device: expected a regular file; save its content to a file")
    if found.st_size == 0:
        raise DocumentError("it is empty (0 bytes): expected a document; fetch or save it again")
    if found.st_size > MAX_FILE_BYTES:
        raise DocumentError(
            f"it has {found.st_size:,} bytes: expected at most {MAX_FILE_BYTES:,}; split it into smaller files"
        )


def file_state(found: os.stat_result) -> tuple[int, ...]:
    """What changes when a file does."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def _without_text(content: Content, ocr: OcrMode) -> DocumentError:
    if content.pages_without_text:
        from edgeai.documents.scans import advice

        return DocumentError(f"it has no text, its pages ({content.n_pages:,}) are pictures: {advice(ocr)}")
    return DocumentError("it has no text: expected some; if it should have, it is damaged: fetch or save it again")


def _changed() -> DocumentError:
    return DocumentError("it changed while it was read: expected a file that stays as it is; read it again")


def _os_words(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file: expected a document; check the path"
    if isinstance(error, PermissionError):
        return "no permission to read it: expected a file that you may read; change its permissions (chmod u+r)"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be opened ({one_line(reason)}): expected a file that can be read; check the path and the disk"
