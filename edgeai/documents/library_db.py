"""The SQLite file of a library: the truth about its documents and passages, from which its index can be made again."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeai.errors import DocumentError

APPLICATION_ID = 0x65646C62  # "edlb": tells a library from another program's SQLite file
SCHEMA_VERSION = 6
BUSY_S = 5.0

# A number is never given twice (AUTOINCREMENT): an index that lags behind cannot take a new passage for an old one.
_SCHEMA = """
CREATE TABLE library (identity INTEGER NOT NULL, generation INTEGER NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    n_pages INTEGER,
    added TEXT NOT NULL,
    first_passage INTEGER NOT NULL,
    n_passages INTEGER NOT NULL,
    n_chars INTEGER NOT NULL,
    generation INTEGER NOT NULL
);
CREATE INDEX documents_by_generation ON documents(generation);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    place TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE removed (document INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE TABLE embedders (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dimension INTEGER NOT NULL);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    embedder INTEGER NOT NULL,
    passage INTEGER NOT NULL,
    scale REAL NOT NULL,
    row BLOB NOT NULL,
    UNIQUE (passage, embedder)
);
"""
# Version 4 changed no table: passages know the lines of their parts, which an older edgeai cannot read.
_LATER = {
    2: "CREATE TABLE IF NOT EXISTS roots (path BLOB PRIMARY KEY, is_left_out INTEGER NOT NULL)",
    3: "CREATE TABLE IF NOT EXISTS embedder_sources (name TEXT PRIMARY KEY, source TEXT NOT NULL)",
    5: "ALTER TABLE documents ADD COLUMN reader INTEGER NOT NULL DEFAULT 0",  # see READER_VERSION
    6: "ALTER TABLE documents ADD COLUMN ocr TEXT",  # see library_rows.outdated_files; NULL: by an older edgeai
}


class LibraryDatabase:
    """One connection for all threads of a process, used by one at a time; every commit is on the disk."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it and its folder where they are missing.

        Raises:
            DocumentError: it cannot be opened, is damaged, is something else, or was made by a newer version.
        """
        self.path = path
        self._lock = threading.RLock()
        _create(path)
        with self._our_errors():
            try:
                self._connect()
            except sqlite3.Error as exc:
                if not _lacks_room(str(exc)):
                    raise
                self._connect("EXCLUSIVE")  # needs no -shm file, so that a full disk can be read

    def close(self) -> None:
        """Close the file. May be called twice."""
        with self._lock:
            self._connection.close()

    def read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock, self._our_errors():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A block whose writes are all made, durably, or not at all."""
        with self._lock, self._our_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise

    @property
    def generation(self) -> int:
        """Grows with each change of what the index holds."""
        return self._number("generation")

    @property
    def identity(self) -> int:
        """A number that no other library has."""
        return self._number("identity")

    def _number(self, name: str) -> int:
        rows = self.read(f"SELECT {name} FROM library")
        if len(rows) != 1 or not isinstance(rows[0][0], int):
            raise damaged(self.path, f"no {name}")
        return rows[0][0]

    def _connect(self, locking_mode: str = "NORMAL") -> None:
        self._connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._set_up(locking_mode)
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self, locking_mode: str) -> None:
        run = self._connection.execute
        run(f"PRAGMA locking_mode = {locking_mode}")
        run("PRAGMA synchronous = FULL")
        if not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._make()
        if run("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise DocumentError(f"{self.path}: expected a library of documents, found another program's file: move it")
        version = self._version()
        if version > SCHEMA_VERSION:
            raise DocumentError(f"{self.path}: written by a newer version of edgeai: update edgeai to read it")
        if version < SCHEMA_VERSION:
            with self.transaction():
                self._upgrade()

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _upgrade(self) -> None:
        """Make what this version lacks; nothing, where another process was faster."""
        version = self._version()
        for since, statement in _LATER.items():
            if version < since:
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")

    def _make(self) -> None:
        run = self._connection.execute
        run("PRAGMA page_size = 16384")  # passages fill large pages better: 3 % less than with 4096
        run("PRAGMA journal_mode = WAL")
        with self.transaction():
            if run("SELECT count(*) FROM sqlite_master").fetchone()[0]:  # another process was faster
                return
            for statement in _SCHEMA.split(";"):
                run(statement)
            self._upgrade()
            run("INSERT INTO library VALUES (?, 0)", (secrets.randbits(62),))
            run(f"PRAGMA application_id = {APPLICATION_ID}")

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise DocumentError(_explain(self.path, exc)) from exc


_WHAT_TO_DO = "copy it away and recover it with sqlite3's .recover, or move it away and add the documents again"


def damaged(path: Path, what: object) -> DocumentError:
    """The error for rows that cannot be what was written."""
    return DocumentError(f"{path}: the library is damaged ({what}): {_WHAT_TO_DO}")


def _create(path: Path) -> None:
    """A file that only its owner reads; SQLite gives its companions (-wal, -shm) the same rights."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as exc:
        raise DocumentError(
            f"{path}: a library cannot be kept here ({exc.strerror}): check the rights of the file and its folder"
        ) from exc


def _lacks_room(text: str) -> bool:
    return "full" in text or "disk I/O" in text


def _explain(path: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"{path}: another process has written into the library for {BUSY_S:g} s: wait for it and try again"
    if _lacks_room(text):
        return f"{path}: cannot be written ({text}): free some disk space; what was stored before is unharmed"
    if "readonly" in text or "unable to open" in text:
        return f"{path}: cannot be written ({text}): check the rights of the file and its folder"
    if "closed" in text:
        return f"{path}: the library was closed: open it again"
    return str(damaged(path, text))
