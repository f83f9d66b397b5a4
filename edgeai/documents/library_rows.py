"""Documents and passages as rows of a library's SQLite file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from sqlite3 import Connection

from edgeai.documents.library_db import LibraryDatabase, damaged
from edgeai.documents.library_types import StoredDocument
from edgeai.documents.passages import Passage, index_text, passages
from edgeai.documents.read import READER_VERSION
from edgeai.documents.types import Document, OcrMode
from edgeai.errors import DocumentError

_N_VALUES = 500
_UNREAD = "unread"
"""It has scanned pages whose text was not recognised."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that was cut and can be stored."""

    document: Document
    size: int
    mtime_ns: int
    passages: list[Passage]

    @property
    def n_chars(self) -> int:
        """Of all passages."""
        return sum(len(passage.text) for passage in self.passages)


def path_key(path: Path) -> bytes:
    """A path as it is stored: absolute, and in bytes, as names need not be UTF-8."""
    try:
        name = str(path)
        if ".." in name or not path.is_absolute():  # else a Path is as abspath would make it
            name = os.path.abspath(name)  # noqa: PTH100 - links stay as they are, unlike with resolve()
        return os.fsencode(name)
    except UnicodeEncodeError as exc:
        raise DocumentError(f"{path!r}: expected the name of a file, found characters that no name holds") from exc


def path_prefix(folder: Path) -> bytes:
    """What the stored paths of all that is in a folder, at any depth, begin with."""
    return os.path.join(path_key(folder), b"")  # noqa: PTH118 - of bytes


def prepared(document: Document, stat: os.stat_result | None) -> Prepared:
    """Cut a document; `stat`: of its file before it was read, if there is one."""
    size, mtime_ns = (stat.st_size, stat.st_mtime_ns) if stat else (document.n_bytes, 0)
    return Prepared(document, size, mtime_ns, passages(document))


def replace(db: Connection, item: Prepared, generation: int) -> tuple[int | None, int, list[int]]:
    """A document's rows instead of those of its path; passages that read as before keep their vectors.

    Returns:
        The number of the document that was there, if any; the new one's, and its passages'.
    """
    key = path_key(item.document.path)
    vectors = _vectors(db, key)
    old = delete(db, key, generation)
    number, numbers = _insert(db, item, generation)
    db.executemany(
        "INSERT INTO vectors (passage, embedder, scale, row) VALUES (?, ?, ?, ?)",
        (
            (passage_id, *vector)
            for passage_id, passage in zip(numbers, item.passages, strict=True)
            for vector in (vectors.get(index_text(passage), ()) if vectors else ())
        ),
    )
    return old, number, numbers


def _vectors(db: Connection, path: bytes) -> dict[str, list[tuple[int, float, bytes]]]:
    """The vectors of a document's passages, by what they were made of."""
    found: dict[str, dict[int, tuple[int, float, bytes]]] = {}
    for embedder, scale, row, *passage in db.execute(
        "SELECT v.embedder, v.scale, v.row, p.id, p.place, p.text, d.path, d.title, d.first_passage FROM documents d "
        "JOIN passages p ON p.id BETWEEN d.first_passage AND d.first_passage + d.n_passages - 1 "
        "JOIN vectors v ON v.passage = p.id WHERE d.path = ?",
        (path,),
    ):
        try:
            text = index_text(_passage(*passage))
        except (ValueError, TypeError):  # damaged: it is embedded anew
            continue
        found.setdefault(text, {})[embedder] = (embedder, scale, row)
    return {text: list(by_embedder.values()) for text, by_embedder in found.items()}


def _insert(db: Connection, item: Prepared, generation: int) -> tuple[int, list[int]]:
    """The rows of a document; its number, and its passages'."""
    document = item.document
    first = db.execute("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'passages'").fetchone()[0]
    number = db.execute(
        "INSERT INTO documents (path, sha256, size, mtime_ns, kind, title, n_pages, added, first_passage, n_passages, "
        "n_chars, generation, reader, ocr) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(path_key(document.path), document.sha256, item.size, item.mtime_ns, document.kind),
            *(_storable(document.title), document.n_pages, datetime.now(timezone.utc).isoformat(timespec="seconds")),
            *(first, len(item.passages), item.n_chars, generation, READER_VERSION),
            _UNREAD if document.pages_without_text and document.ocr == "never" else document.ocr,
        ),
    ).lastrowid
    numbers = list(range(first, first + len(item.passages)))
    db.executemany(
        "INSERT INTO passages (id, document, place, text) VALUES (?, ?, ?, ?)",
        (
            (passage_id, number, _place(passage), _storable(passage.text))
            for passage_id, passage in zip(numbers, item.passages, strict=True)
        ),
    )
    if number is None:
        raise AssertionError("SQLite numbers each row that it inserts")
    return number, numbers


def delete(db: Connection, path: bytes, generation: int) -> int | None:
    """Take out what a path holds; the document's number, or None where there was none."""
    row = db.execute("SELECT id, first_passage, n_passages FROM documents WHERE path = ?", (path,)).fetchone()
    if row is None:
        return None
    number, first, n_passages = row
    span = (first, first + n_passages - 1)
    db.execute("DELETE FROM vectors WHERE passage BETWEEN ? AND ?", span)
    db.execute("DELETE FROM passages WHERE id BETWEEN ? AND ?", span)
    db.execute("DELETE FROM documents WHERE id = ?", (number,))
    db.execute("INSERT INTO removed VALUES (?, ?)", (number, generation))
    return int(number)


def stored_files(db: LibraryDatabase) -> dict[bytes, tuple[str, int, int]]:
    """Of each path the file's SHA-256, size and time of change as they were when it was read."""
    rows = db.read("SELECT path, sha256, size, mtime_ns FROM documents ORDER BY path")
    return {path: (sha256, size, mtime_ns) for path, sha256, size, mtime_ns in rows}


def outdated_files(db: LibraryDatabase, ocr: OcrMode) -> set[bytes]:
    """The paths of documents that an older reader has read, or of which this way to read scanned pages gets more."""
    more = {
        "never": "0",
        "auto": f"kind = 'pdf' AND (ocr IS NULL OR ocr = '{_UNREAD}')",
        "always": "kind = 'pdf' AND ocr IS NOT 'always'",
    }[ocr]
    return {path for (path,) in db.read(f"SELECT path FROM documents WHERE reader < ? OR {more}", READER_VERSION)}


def stored_documents(db: LibraryDatabase) -> list[StoredDocument]:
    """All documents, by path."""
    rows = db.read(
        "SELECT path, kind, title, sha256, size, mtime_ns, n_pages, n_passages, added FROM documents ORDER BY path"
    )
    return [StoredDocument(Path(os.fsdecode(path)), *rest) for path, *rest in rows]


def passages_of(db: LibraryDatabase, document: int) -> list[tuple[int, Passage]]:
    """A document's passages with their numbers, in order."""
    span = db.read("SELECT first_passage, n_passages FROM documents WHERE id = ?", document)
    return [] if not span else _read(db, "p.id BETWEEN ? AND ?", (span[0][0], span[0][0] + span[0][1] - 1))


def passages_by_number(db: LibraryDatabase, numbers: Iterable[int]) -> dict[int, Passage]:
    """Those of the passages that still are there."""
    wanted, found = list(numbers), dict[int, Passage]()
    for start in range(0, len(wanted), _N_VALUES):
        part = wanted[start : start + _N_VALUES]
        found.update(_read(db, f"p.id IN ({','.join('?' * len(part))})", part))
    return found


def _read(db: LibraryDatabase, where: str, values: Sequence[int]) -> list[tuple[int, Passage]]:
    rows = db.read(
        "SELECT p.id, p.place, p.text, d.path, d.title, d.first_passage FROM passages p "
        f"JOIN documents d ON d.id = p.document WHERE {where} ORDER BY p.id",
        *values,
    )
    try:
        return [(row[0], _passage(*row)) for row in rows]
    except (ValueError, TypeError) as exc:
        raise damaged(db.path, f"a passage's place: {exc}") from exc


def _place(passage: Passage) -> str:
    lines_and_pages = (passage.first_page, passage.last_page, passage.first_line, passage.last_line)
    return json.dumps([passage.headings, *lines_and_pages, passage.glue, passage.repeated, passage.lines])


def _passage(number: int, place: str, text: str, path: bytes, title: str, first: int) -> Passage:
    headings, first_page, last_page, first_line, last_line, glue, repeated, *rest = json.loads(place)
    lines = tuple((int(at), int(line)) for at, line in (rest[0] if rest else ()))  # version 3 had none
    above = tuple(str(heading) for heading in headings)
    return Passage(
        Path(os.fsdecode(path)), title, number - first, text, above,
        first_page, last_page, first_line, last_line, str(glue), int(repeated), lines,
    )  # fmt: skip


def _storable(text: str) -> str:
    """The text without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode()
