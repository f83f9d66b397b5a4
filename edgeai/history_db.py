"""The SQLite file under the conversations: opening, schema, transactions, and its errors in our words."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeai.errors import HistoryError
from edgeai.text_search import TOKENIZER

APPLICATION_ID = 0x65646765  # "edge": tells our file from another program's SQLite file
LOCK_TIMEOUT_S = 5.0
IN_MEMORY = Path(":memory:")

_VERSION_1 = (
    """CREATE TABLE conversations (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        model TEXT NOT NULL,
        settings TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        head INTEGER REFERENCES messages(id) ON DELETE SET NULL
    )""",
    # A parent is older than its children, so a path to the root ends, whatever stands in the file.
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
        parent_id INTEGER REFERENCES messages(id) CHECK (parent_id < id),
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        status TEXT NOT NULL,
        created TEXT NOT NULL,
        stats TEXT NOT NULL DEFAULT '{}',
        owner TEXT
    )""",
    "CREATE INDEX messages_by_parent ON messages(conversation_id, parent_id)",
    "CREATE INDEX messages_of_parent ON messages(parent_id)",
    "CREATE INDEX messages_generating ON messages(status) WHERE status = 'generating'",
    "CREATE INDEX conversations_by_update ON conversations(updated)",
    "CREATE INDEX conversations_by_head ON conversations(head)",
    f"CREATE VIRTUAL TABLE message_index USING fts5(terms, tokenize = '{TOKENIZER}')",
    f"CREATE VIRTUAL TABLE title_index USING fts5(terms, tokenize = '{TOKENIZER}')",
    """CREATE TRIGGER message_deleted AFTER DELETE ON messages BEGIN
        DELETE FROM message_index WHERE rowid = old.id;
    END""",
    """CREATE TRIGGER conversation_deleted AFTER DELETE ON conversations BEGIN
        DELETE FROM title_index WHERE rowid = old.number;
    END""",
)
MIGRATIONS: Sequence[Sequence[str]] = (_VERSION_1,)
"""Statements that lead from each version of the schema to the next; written ones never change."""


class Database:
    """One connection for all threads of a process, used by one at a time. Every commit is on the disk (fsync)."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it and its folder where they are missing.

        Raises:
            HistoryError: it cannot be opened, is damaged, is something else, or was made by a newer version.
        """
        self.path = path
        self._lock = threading.RLock()
        if path != IN_MEMORY:
            _create(path)
        with self._our_errors():
            self._connection = sqlite3.connect(
                path, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._finalizer = weakref.finalize(self, self._connection.close)
            try:
                self._set_up()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the file, when no other thread is inside of it: SQLite does not survive that. May be called twice."""
        with self._lock:
            self._finalizer()

    def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock, self._our_errors():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A block whose writes are all made, durably, or not at all."""
        with self._lock, self._our_errors():
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled back by itself
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def not_synced(self) -> Iterator[None]:
        """Commits within the block need not be on the disk yet: cheap, for what is written again soon."""
        with self._lock, self._our_errors():
            self._connection.execute("PRAGMA synchronous = NORMAL")
            try:
                yield
            finally:
                self._connection.execute("PRAGMA synchronous = FULL")

    def _set_up(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            if self._pragma("application_id") != APPLICATION_ID:
                raise HistoryError(f"{self.path}: expected conversations, found another program's file: move it away")
            if self._pragma("user_version") > len(MIGRATIONS):
                raise HistoryError(f"{self.path}: written by a newer version of edgeai: update edgeai to read it")
        if self._pragma("user_version") < len(MIGRATIONS):
            self._write_ahead_log()
            with self.transaction():
                self._migrate()

    def _write_ahead_log(self) -> None:
        """The mode stays in the file. SQLite does not wait for the lock that the change needs, so we do."""
        for _attempt in range(50):
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as exc:
                if "locked" not in str(exc):
                    raise
                time.sleep(LOCK_TIMEOUT_S / 50)
            else:
                return

    def _migrate(self) -> None:
        """Within a transaction: another process that opened the file at the same time may have been faster."""
        for statements in MIGRATIONS[self._pragma("user_version") :]:
            for statement in statements:
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise HistoryError(_explain(self.path, exc)) from exc


def _create(path: Path) -> None:
    """A file that only its owner reads; SQLite gives its companions (-wal, -shm) the same rights."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as exc:
        raise HistoryError(
            f"{path}: conversations cannot be kept here ({exc.strerror}): check the rights of the file and its folder, "
            "or set EDGEAI_HOME to another folder"
        ) from exc


def _explain(path: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"{path}: another process has held the conversations for {LOCK_TIMEOUT_S:g} s: close it and try again"
    if "full" in text or "disk I/O" in text:
        return f"{path}: cannot be written ({text}): free some disk space; what was stored before is unharmed"
    if "readonly" in text or "unable to open" in text:
        return f"{path}: cannot be written ({text}): check the rights of the file and its folder"
    if "closed" in text:
        return f"{path}: the conversations were closed"
    if isinstance(error, sqlite3.IntegrityError):
        return f"{path}: no such conversation or message ({text}): it may have been deleted meanwhile"
    if type(error) is sqlite3.DatabaseError:
        return (
            f"{path}: the conversations are damaged ({text}): copy the file away, then recover what is left with "
            f"sqlite3's .recover, or start anew without it"
        )
    return f"{path}: {text}"
