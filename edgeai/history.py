"""Conversations, kept in one SQLite file.

A conversation is a tree of messages: editing or regenerating one begins a branch, and `head` is the last message of
the branch that is shown. A turn is written when it begins and again when it ends; what `finish_turn` has stored
survives `kill -9` and loss of power.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeai.errors import HistoryError
from edgeai.history_db import Database
from edgeai.history_owner import is_alive
from edgeai.history_rows import (
    MESSAGE_COLUMNS,
    Branches,
    check_message,
    conversation_number,
    finish_message,
    insert_conversation,
    insert_copy,
    insert_message,
    message_from,
    missing,
    now,
    set_title,
    storable,
)
from edgeai.history_types import (
    Conversation,
    PictureRef,
    SearchHit,
    Status,
    StoredMessage,
    picture_stats,
    title_from,
    to_messages,
)
from edgeai.paths import history_path
from edgeai.text_search import match_expression, snippet

__all__ = ["Conversation", "History", "SearchHit", "Status", "StoredMessage", "to_messages"]

_ID_CHARS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is easily taken for another
_ID_LENGTH = 8
_CONVERSATION = """SELECT id, title, model, settings, created, updated, head,
    (SELECT count(*) FROM messages WHERE conversation_id = c.id) FROM conversations AS c"""
_MESSAGE = f"SELECT {MESSAGE_COLUMNS} FROM messages"


class History:
    """The stored conversations. May be shared by threads, and by several processes on one file."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Open the store.

        Args:
            path: the file; None takes the one in the user's data folder, ":memory:" none at all: then everything is
                forgotten at the end.

        Raises:
            HistoryError: it cannot be opened, is damaged, or is something else. Every method raises it too, when the
                disk is full, another process holds the file, or a conversation or message is not there.
        """
        self.file_path = Path(path) if path is not None else history_path()
        self._db = Database(self.file_path)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._db.close()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- conversations ---

    def create(self, *, model: str = "", settings: str = "{}", title: str = "") -> Conversation:
        """A new, empty conversation.

        Args:
            model: the model's name.
            settings: a JSON object: system prompt and sampling.
            title: without one, the first line of the first message becomes it.
        """
        conversation_id = _new_id()
        with self._db.transaction() as db:
            insert_conversation(db, conversation_id, model, settings, now())
            if title:
                set_title(db, conversation_id, title)
        return self.get(conversation_id)

    def insert_copy(self, conversation: Conversation, messages: Iterable[StoredMessage]) -> Conversation:
        """Add a conversation that was kept elsewhere; it and its messages, parents first, get new ids."""
        copy = dataclasses.replace(conversation, id=_new_id())
        with self._db.transaction() as db:
            insert_copy(db, copy, messages)
        return self.get(copy.id)

    def conversations(self, limit: int | None = None) -> list[Conversation]:
        """All conversations, or the `limit` newest, the last changed one first."""
        sql = f"{_CONVERSATION} ORDER BY updated DESC, number DESC LIMIT ?"
        return [Conversation(*row) for row in self._db.read(sql, -1 if limit is None else limit)]

    def get(self, conversation_id: str) -> Conversation:
        """The conversation with this id, or the only one whose id begins so."""
        wanted = storable(conversation_id)
        rows = self._db.read(f"{_CONVERSATION} WHERE substr(id, 1, ?) = ? LIMIT 4", len(wanted), wanted)
        rows = [row for row in rows if row[0] == wanted] or rows
        if wanted and len(rows) == 1:
            return Conversation(*rows[0])
        if wanted and rows:
            found = ", ".join(row[0] for row in rows)
            raise HistoryError(f"{wanted!r} begins more than one conversation's id ({found}): give more of it")
        raise HistoryError(f"there is no conversation {wanted[:80]!r}: `edgeai history list` shows all")

    def update(
        self, conversation_id: str, *, title: str | None = None, model: str | None = None, settings: str | None = None
    ) -> None:
        """Change what is given."""
        with self._db.transaction() as db:
            number = conversation_number(db, conversation_id)
            if title is not None:
                set_title(db, conversation_id, title)
            if model is not None:
                db.execute("UPDATE conversations SET model = ? WHERE number = ?", (storable(model), number))
            if settings is not None:
                db.execute("UPDATE conversations SET settings = ? WHERE number = ?", (storable(settings), number))

    def delete(self, conversation_id: str) -> None:
        """Remove a conversation with all its branches."""
        with self._db.transaction() as db:
            number = conversation_number(db, conversation_id)
            db.execute("DELETE FROM conversations WHERE number = ?", (number,))

    # --- the tree of messages ---

    def path(self, conversation_id: str) -> list[StoredMessage]:
        """The shown branch, from the first message to the head."""
        rows = self._db.read(
            f"""WITH RECURSIVE path(id) AS (
                SELECT head FROM conversations WHERE id = ?
                UNION SELECT messages.parent_id FROM messages JOIN path USING (id))
            {_MESSAGE} WHERE id IN path ORDER BY id""",
            conversation_id,
        )
        branches = self._branches(conversation_id)
        return [message_from(row, branches) for row in rows]

    def all_messages(self, conversation_id: str) -> list[StoredMessage]:
        """Every message of every branch, parents before children."""
        branches = self._branches(conversation_id)
        rows = self._db.read(f"{_MESSAGE} WHERE conversation_id = ? ORDER BY id", conversation_id)
        return [message_from(row, branches) for row in rows]

    def message(self, message_id: int) -> StoredMessage:
        """One message."""
        rows = self._db.read(f"{_MESSAGE} WHERE id = ?", message_id)
        if not rows:
            raise missing(f"message {message_id}")
        return message_from(rows[0], self._branches(rows[0][1]))

    def siblings(self, message_id: int) -> list[StoredMessage]:
        """The alternatives to a message (edited, regenerated), itself among them, the oldest first."""
        one = self.message(message_id)
        rows = self._db.read(
            f"{_MESSAGE} WHERE conversation_id = ? AND parent_id IS ? ORDER BY id", one.conversation_id, one.parent_id
        )
        return [message_from(row, {row[0]: (index, len(rows))}) for index, row in enumerate(rows, 1)]

    def leaf_of(self, message_id: int) -> int:
        """The newest message that follows from this one: where its branch was left."""
        rows = self._db.read(
            """WITH RECURSIVE below(id) AS (
                SELECT id FROM messages WHERE id = ?
                UNION SELECT messages.id FROM messages JOIN below ON messages.parent_id = below.id)
            SELECT max(id) FROM below""",
            message_id,
        )
        if rows[0][0] is None:
            raise missing(f"message {message_id}")
        return int(rows[0][0])

    def set_head(self, conversation_id: str, message_id: int) -> None:
        """Show the branch that ends with this message."""
        with self._db.transaction() as db:
            check_message(db, conversation_id, message_id)
            db.execute("UPDATE conversations SET head = ? WHERE id = ?", (message_id, conversation_id))

    # --- writing turns ---

    def begin_turn(
        self, conversation_id: str, parent_id: int | None, user_text: str, pictures: Sequence[PictureRef] = ()
    ) -> tuple[int, int]:
        """Store what the user said, and that an answer is being made.

        Args:
            conversation_id: the conversation.
            parent_id: the message before it; None begins a first message. A parent that has children already gets a
                branch.
            user_text: the user's message.
            pictures: what the user showed with it.
        Returns:
            The ids of the user's message and of the answer.
        """
        text = storable(user_text)
        with self._db.transaction() as db:
            conversation_number(db, conversation_id)
            if parent_id is not None:
                check_message(db, conversation_id, parent_id)
            user_id = insert_message(db, conversation_id, parent_id, "user", text, json.dumps(picture_stats(pictures)))
            assistant_id = insert_message(db, conversation_id, user_id, "assistant", "")
            (title,) = db.execute("SELECT title FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
            if not title:
                set_title(db, conversation_id, title_from(text))
        return user_id, assistant_id

    def begin_answer(self, user_id: int) -> int:
        """Store that another answer to a stored message is being made, as a branch; returns its id."""
        conversation_id = self.message(user_id).conversation_id
        with self._db.transaction() as db:
            check_message(db, conversation_id, user_id)
            return insert_message(db, conversation_id, user_id, "assistant", "")

    def save_partial(self, assistant_id: int, text: str) -> None:
        """Store an answer's text so far. Cheap: it survives a killed process, perhaps not a loss of power."""
        with self._db.not_synced(), self._db.transaction() as db:
            db.execute(
                "UPDATE messages SET content = ? WHERE id = ? AND status = 'generating'",
                (storable(text), assistant_id),
            )

    def finish_turn(
        self, assistant_id: int, text: str, status: Status = "complete", stats: Mapping[str, Any] | None = None
    ) -> None:
        """Store a whole answer. When this returns it is on the disk.

        Args:
            assistant_id: from `begin_turn` or `begin_answer`.
            text: the answer.
            status: how it ended.
            stats: numbers about it (usage, timings); anything JSON can say.
        """
        with self._db.transaction() as db:
            finish_message(db, assistant_id, text, status, json.dumps(dict(stats or {})))

    def recover(self) -> list[StoredMessage]:
        """Mark the answers whose process is gone as "interrupted", and return them; call it at the start.

        What had been generated is kept as far as `save_partial` stored it, the user's message wholly. Answers that
        another running process is making are left alone.
        """
        sql = "SELECT id, content, owner FROM messages WHERE status = 'generating'"
        lost = [(row[0], row[1]) for row in self._db.read(sql) if not is_alive(row[2])]
        if not lost:
            return []
        with self._db.transaction() as db:
            for message_id, text in lost:
                finish_message(db, message_id, text, "interrupted", "{}")
        return [self.message(message_id) for message_id, _ in lost]

    # --- search ---

    def search(self, query: str, limit: int = 50) -> list[SearchHit]:
        """Conversations and messages in which all the words are found, titles first, then the best matches.

        Words match at their beginning, Japanese and its like anywhere; nothing in a query is an operator.
        """
        expression = match_expression(query)
        if expression is None:
            return []
        titles = self._db.read(
            """SELECT id, NULL, NULL, title, title FROM title_index JOIN conversations ON number = title_index.rowid
            WHERE title_index MATCH ? ORDER BY updated DESC LIMIT ?""",
            expression,
            limit,
        )
        texts = self._db.read(
            """SELECT c.id, m.id, m.role, c.title, m.content FROM message_index
            JOIN messages AS m ON m.id = message_index.rowid JOIN conversations AS c ON c.id = m.conversation_id
            WHERE message_index MATCH ? ORDER BY message_index.rank, m.id DESC LIMIT ?""",
            expression,
            limit,
        )
        hits = []
        for conversation_id, message_id, role, title, text in (titles + texts)[:limit]:
            shown, matches = snippet(text, query)
            hits.append(SearchHit(conversation_id, message_id, role, title, shown, matches))
        return hits

    def _branches(self, conversation_id: str) -> Branches:
        rows = self._db.read(
            """SELECT * FROM (
                SELECT id, row_number() OVER (PARTITION BY parent_id ORDER BY id),
                    count(*) OVER (PARTITION BY parent_id) AS n_branches
                FROM messages WHERE conversation_id = ?)
            WHERE n_branches > 1""",
            conversation_id,
        )
        return {row[0]: (row[1], row[2]) for row in rows}


def _new_id() -> str:
    """A conversation's id, one of 8e11."""
    return "".join(secrets.choice(_ID_CHARS) for _ in range(_ID_LENGTH))
