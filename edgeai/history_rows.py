"""Writing rows of the conversations' tables, each within a transaction of the caller's, and reading them back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from sqlite3 import Connection
from typing import Any

from edgeai.errors import HistoryError
from edgeai.history_owner import this_process
from edgeai.history_types import Conversation, Role, Status, StoredMessage
from edgeai.text_search import index_terms

MESSAGE_COLUMNS = "id, conversation_id, parent_id, role, content, status, created, stats"
Branches = Mapping[int, tuple[int, int]]
"""By a message's id: its place among its alternatives and their number; only where there are more than one."""


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def storable(text: str) -> str:
    """The text without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def missing(what: str) -> HistoryError:
    """The error for a conversation or message that is not there."""
    return HistoryError(f"there is no {what[:120]}: it may have been deleted meanwhile")


def message_from(row: tuple[Any, ...], branches: Branches) -> StoredMessage:
    """A message from a row of MESSAGE_COLUMNS."""
    message_id, conversation_id, parent_id, role, content, status, created, stats = row
    branch, n_branches = branches.get(message_id, (1, 1))
    return StoredMessage(
        message_id, conversation_id, parent_id, role, content, status, created, json.loads(stats), branch, n_branches
    )


def insert_conversation(db: Connection, conversation_id: str, model: str, settings: str, created: str) -> None:
    """A new row, as yet without a title."""
    db.execute(
        "INSERT INTO conversations (id, title, model, settings, created, updated) VALUES (?, '', ?, ?, ?, ?)",
        (conversation_id, storable(model), storable(settings), created, created),
    )


def insert_copy(db: Connection, copy: Conversation, messages: Iterable[StoredMessage]) -> None:
    """A conversation with its messages, parents first, from another store; the messages get new ids."""
    insert_conversation(db, copy.id, copy.model, copy.settings, copy.created)
    set_title(db, copy.id, copy.title)
    new_ids: dict[int | None, int | None] = {None: None}
    for message in messages:
        if message.parent_id not in new_ids or message.id in new_ids:
            raise HistoryError(f"message {message.id}: expected one of each number, parents first: export it again")
        new_id = insert_message(db, copy.id, new_ids[message.parent_id], message.role, storable(message.content))
        finish_message(db, new_id, message.content, message.status, json.dumps(dict(message.stats)))
        db.execute("UPDATE messages SET created = ? WHERE id = ?", (message.created, new_id))
        new_ids[message.id] = new_id
    if copy.head not in new_ids:
        raise HistoryError(f"head is message {copy.head!r}: expected one of the messages: export it again")
    db.execute("UPDATE conversations SET head = ? WHERE id = ?", (new_ids[copy.head], copy.id))


def set_title(db: Connection, conversation_id: str, title: str) -> None:
    """Change a title, and what is found by it."""
    title = storable(title)
    number = conversation_number(db, conversation_id)
    db.execute("UPDATE conversations SET title = ? WHERE number = ?", (title, number))
    db.execute("DELETE FROM title_index WHERE rowid = ?", (number,))
    db.execute("INSERT INTO title_index (rowid, terms) VALUES (?, ?)", (number, index_terms(title)))


def insert_message(
    db: Connection, conversation_id: str, parent_id: int | None, role: Role, text: str, stats: str = "{}"
) -> int:
    """A new message at the end of the shown branch: a user's is complete, an answer is being made by this process."""
    status, owner = ("complete", None) if role == "user" else ("generating", this_process())
    cursor = db.execute(
        "INSERT INTO messages (conversation_id, parent_id, role, content, status, created, owner, stats) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (conversation_id, parent_id, role, text, status, now(), owner, stats),
    )
    message_id = cursor.lastrowid
    assert message_id is not None
    if role == "user":
        set_terms(db, message_id, text)
    db.execute("UPDATE conversations SET head = ?, updated = ? WHERE id = ?", (message_id, now(), conversation_id))
    return message_id


def finish_message(db: Connection, message_id: int, text: str, status: Status, stats: str) -> None:
    """An answer's end."""
    text = storable(text)
    cursor = db.execute(
        "UPDATE messages SET content = ?, status = ?, stats = ?, owner = NULL WHERE id = ?",
        (text, status, stats, message_id),
    )
    if not cursor.rowcount:
        raise missing(f"message {message_id}")
    set_terms(db, message_id, text)
    db.execute(
        "UPDATE conversations SET updated = ? WHERE id = (SELECT conversation_id FROM messages WHERE id = ?)",
        (now(), message_id),
    )


def set_terms(db: Connection, message_id: int, text: str) -> None:
    """What a message is found by."""
    db.execute("DELETE FROM message_index WHERE rowid = ?", (message_id,))
    db.execute("INSERT INTO message_index (rowid, terms) VALUES (?, ?)", (message_id, index_terms(text)))


def conversation_number(db: Connection, conversation_id: str) -> int:
    """The row's number.

    Raises:
        HistoryError: there is no such conversation.
    """
    row = db.execute("SELECT number FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    if row is None:
        raise missing(f"conversation {conversation_id!r}")
    return int(row[0])


def check_message(db: Connection, conversation_id: str, message_id: int) -> None:
    """
    Raises:
        HistoryError: there is no such message in this conversation.
    """
    sql = "SELECT 1 FROM messages WHERE id = ? AND conversation_id = ?"
    if db.execute(sql, (message_id, conversation_id)).fetchone() is None:
        raise missing(f"message {message_id} in conversation {conversation_id!r}")
