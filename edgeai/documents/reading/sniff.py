"""What a file is: by its content, and by its name only where the content is text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeai.documents.reading.encoding import is_binary
from edgeai.documents.types import OcrMode
from edgeai.errors import DocumentError

_PDF_WITHIN = 1024  # readers take a header that stands so late
_BINARY_KINDS = ("pdf", "docx", "pptx", "xlsx", "epub")

_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a PNG picture", "pictures are no documents"),
    (b"\xff\xd8\xff", "a JPEG picture", "pictures are no documents"),
    (b"GIF8", "a GIF picture", "pictures are no documents"),
    (b"II*\0", "a TIFF picture", "save the scan as PDF with text"),
    (b"MM\0*", "a TIFF picture", "save the scan as PDF with text"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ\0", "an xz archive", "unpack it first"),
    (b"(\xb5/\xfd", "a zstd archive", "unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x7fELF", "a program", "programs are no documents"),
    (b"MZ", "a Windows program", "programs are no documents"),
    (b"SQLite format 3\0", "a SQLite database", "export its tables as CSV"),
    (b"GGUF", "a model", "open it with --model"),
    (b"{\\rtf", "an RTF document", "save it as .docx"),
    (b"%!PS", "a PostScript document", "save it as .pdf"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*){0,20}<(?:!doctype\s+html|html[\s>])", re.I | re.S
)
_MAIL_HEADER = re.compile(rb"(?:From|To|Subject|Date|Received|Return-Path|MIME-Version|Message-ID):", re.I)


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a file beside its content, and what is wanted of it; see `wire.Job`."""

    expected: str | None = None
    suffix: str = ""
    password: str | None = None
    ocr: OcrMode = "never"


def kind_of(data: bytes, hints: Hints) -> str:
    """The kind of a file, one of those of `kinds.KINDS`.

    Raises:
        DocumentError: it is none that is read here.
    """
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return "pdf"
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        from edgeai.documents.reading.package import package_kind

        return package_kind(data)
    if data.startswith(_OLE):
        raise _old_office(data)
    for magic, what, advice in _OTHERS:
        if data.startswith(magic) and (len(magic) > 2 or is_binary(data)):
            raise DocumentError(f"it is {what}: expected a document such as PDF, DOCX or text; {advice}")
    if is_binary(data):
        raise DocumentError(
            "it is binary and of no known kind: expected PDF, DOCX, PPTX, XLSX, EPUB, HTML or text; save it as one"
        )
    if hints.expected in _BINARY_KINDS:
        raise DocumentError(
            f"it is called {hints.suffix} and is none, its content is text: expected {hints.expected.upper()}; fetch "
            "it again, or name it by what it is"
        )
    return _text_kind(data, hints)


def _text_kind(data: bytes, hints: Hints) -> str:
    if hints.expected not in (None, "text"):
        assert hints.expected is not None
        return hints.expected
    if _HTML.match(data[:4000].lstrip(b"\xef\xbb\xbf").decode("latin-1")):
        return "html"
    lines = data[:4000].split(b"\n")
    if hints.expected is None and sum(1 for line in lines[:12] if _MAIL_HEADER.match(line)) >= 3:
        return "eml"
    return "text"


def _old_office(data: bytes) -> DocumentError:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return DocumentError("it is encrypted: expected an Office file without a password; save it without one")
    return DocumentError("it is an Office file of before 2007: expected .docx, .pptx or .xlsx; save it as one")
