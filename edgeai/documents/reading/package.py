"""ZIP packages (DOCX, PPTX, XLSX, EPUB): looked through before anything is inflated, and read within limits."""

from __future__ import annotations

import io
import re
import zipfile
from xml.etree import ElementTree

from edgeai.errors import DocumentError

_MAX_ENTRIES = 100_000
_MAX_TOTAL_BYTES = 2**30
_MAX_RATIO = 200  # text and spreadsheets stay under 50
_SMALL_BYTES = 20 * 2**20  # below it any ratio is harmless
_DOCTYPE = re.compile(rb"<\s*!\s*(?:DOCTYPE|ENTITY)", re.I)
_ENTITY = re.compile(rb"<!ENTITY", re.I)
_BY_FOLDER = {"word/": "docx", "ppt/": "pptx", "xl/": "xlsx"}
_ENCRYPTED_FLAG = 1


def package_kind(data: bytes) -> str:
    """Which kind of package it is.

    Raises:
        DocumentError: another one, a damaged one, or one that grows without measure.
    """
    with opened(data) as package:
        names = package.namelist()
        if "mimetype" in names:
            mime = package.read("mimetype")[:100].decode("ascii", "replace").strip()
            if mime == "application/epub+zip":
                return "epub"
            if "opendocument" in mime:
                raise DocumentError(
                    "it is an OpenDocument file: expected .docx, .pptx or .xlsx; save it as one of these, or as .pdf"
                )
        if "META-INF/container.xml" in names:
            return "epub"
        if "[Content_Types].xml" in names:
            for folder, kind in _BY_FOLDER.items():
                if any(name.startswith(folder) for name in names):
                    return kind
            raise DocumentError("it is an Office package of another kind: expected DOCX, PPTX or XLSX; save it as one")
    raise DocumentError("it is a ZIP archive: expected a document; unpack it and read what it holds")


def opened(data: bytes) -> zipfile.ZipFile:
    """Open a package whose entries, as they are declared, stay within limits; `zipfile` inflates no more than that.

    Raises:
        DocumentError: it is damaged, encrypted, or grows without measure.
    """
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as exc:
        raise DocumentError(
            f"damaged or cut short ({exc}): expected a whole file; fetch it again, or save it anew in its program"
        ) from exc
    entries = package.infolist()
    total = sum(entry.file_size for entry in entries)
    if len(entries) > _MAX_ENTRIES or total > _MAX_TOTAL_BYTES:
        raise _bomb(f"{len(entries):,} entries, {total:,} bytes")
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise DocumentError("it is encrypted: expected a file without a password; save it without one")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DocumentError(
                "it is packed as documents never are: expected a deflated package; save it anew in its program"
            )
        if entry.file_size > _SMALL_BYTES and entry.file_size > _MAX_RATIO * max(entry.compress_size, 1):
            raise _bomb(f"one of {entry.compress_size:,} bytes becomes {entry.file_size:,}")
    if total > _SMALL_BYTES and total > _MAX_RATIO * len(data):
        raise _bomb(f"{len(data):,} bytes become {total:,}")
    return package


def office(data: bytes) -> io.BytesIO:
    """An Office package for the library that reads it, once no part of it declares entities.

    Raises:
        DocumentError: a part does, which Office files never do.
    """
    with opened(data) as package:
        for entry in package.infolist():
            if entry.filename.lower().endswith((".xml", ".rels", ".vml")) and _declares(package, entry):
                raise DocumentError(
                    "it declares XML entities (DOCTYPE), which may be an attack: expected an Office file without; save "
                    "it anew in its program"
                )
    return io.BytesIO(data)


def parse_xml(data: bytes) -> ElementTree.Element:
    """XML that declares no entities of its own.

    Raises:
        DocumentError: it does.
        ElementTree.ParseError: it is none.
    """
    if _ENTITY.search(data.replace(b"\0", b"")):
        raise DocumentError(
            "it declares XML entities, which may be an attack: expected a file without; save it anew in its program"
        )
    return ElementTree.fromstring(data)


def local_name(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _declares(package: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether DOCTYPE stands before the root element; comments before it may be long."""
    head = b""
    with package.open(entry) as part:
        while piece := part.read(4096):
            head += piece
            readable = head.replace(b"\0", b"")  # UTF-16
            if _DOCTYPE.search(readable):
                return True
            if re.search(rb"<[A-Za-z_]", re.sub(rb"<!--.*?-->", b"", readable, flags=re.S)) or len(head) > 2**20:
                return False
    return False


def _bomb(what: str) -> DocumentError:
    return DocumentError(
        f"it grows without measure when it is unpacked ({what}): expected a document and no zip bomb; do not open it"
    )
