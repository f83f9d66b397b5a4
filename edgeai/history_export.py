"""Conversations as files: Markdown to read, JSON to keep and to read back.

The JSON of one conversation, all branches included:

    {"format": "edgeai-conversation", "version": 1,
     "id": "k3mfq7xz", "title": "…", "model": "…", "settings": {"system": "…", "temperature": 0.2},
     "created": "2026-11-24T06:43:54.267+00:00", "updated": "…", "head": 4,
     "messages": [{"id": 3, "parent_id": null, "role": "user", "content": "…", "status": "complete",
                   "created": "…", "stats": {}}, …]}

Parents stand before their children; `head` is the last message of the branch that was shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from edgeai.errors import HistoryError
from edgeai.history import Conversation, History, StoredMessage
from edgeai.history_types import Role, Status
from edgeai.safe_text import one_line

FORMAT = "edgeai-conversation"
VERSION = 1
_SPEAKERS = {"user": "You", "assistant": "Assistant"}
_NOTES = {
    "generating": "(still being written)",
    "cancelled": "(stopped)",
    "interrupted": "(interrupted)",
    "error": "(failed)",
}
# What a terminal or an editor could act on; JSON says it as \uXXXX.
_INVISIBLE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f]|" + _INVISIBLE.pattern)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_CODE_OR_TAG = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)|<(?=[A-Za-z/!?])(?!https?://|mailto:)")


def to_markdown(conversation: Conversation, messages: Iterable[StoredMessage]) -> str:
    """A branch for people to read. Each message's code fences are closed and its HTML is made text, so that none
    swallows the next one; control characters are left out."""
    title = " ".join(_CONTROLS.sub("", conversation.title).split()) or "Conversation"
    about = " · ".join(part for part in (conversation.model, conversation.created[:16].replace("T", " ")) if part)
    parts = [f"# {_escape_tags(title)}", _escape_tags(_CONTROLS.sub("", about))]
    for message in messages:
        note = _NOTES.get(message.status, "")
        parts.append(f"## {_SPEAKERS[message.role]}{' ' + note if note else ''}")
        parts += [f"(picture: {_escape_tags(one_line(Path(shown.path).name))})" for shown in message.pictures]
        parts.append(_self_contained(_CONTROLS.sub("", message.content)))
    return "\n\n".join(part for part in parts if part) + "\n"


def to_json(conversation: Conversation, messages: Iterable[StoredMessage]) -> str:
    """A conversation as the text of the JSON object that this module describes; give it all messages."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        **{name: getattr(conversation, name) for name in ("id", "title", "model")},
        "settings": _object(conversation.settings),
        **{name: getattr(conversation, name) for name in ("created", "updated", "head")},
        "messages": [_message_object(message) for message in messages],
    }
    return inert_json(document) + "\n"


def from_json(history: History, text: str) -> Conversation:
    """Add an exported conversation to a store, under a new id.

    Raises:
        HistoryError: it is not such an export.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise HistoryError(f"expected {FORMAT} of version {VERSION}: export it again with this edgeai")
        messages = [_read_message(item) for item in document["messages"]]
        title, model = _text(document["title"]), _text(document["model"])
        settings = json.dumps(dict(document["settings"]), ensure_ascii=False)
        created, head = _time(document["created"]), document["head"]
        if not _is_id(head):
            raise ValueError(f"head {head!r}: expected a number")
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        problem = f"{type(exc).__name__}: {exc}"[:200]
        raise HistoryError(f"expected a conversation exported by edgeai as JSON ({problem}): export it again") from exc
    return history.insert_copy(Conversation("", title, model, settings, created, "", head, len(messages)), messages)


def inert_json(value: object) -> str:
    """Indented JSON with readable Japanese, in which nothing can steer a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _INVISIBLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _message_object(message: StoredMessage) -> dict[str, Any]:
    names = ("id", "parent_id", "role", "content", "status", "created")
    return {**{name: getattr(message, name) for name in names}, "stats": dict(message.stats)}


def _read_message(item: Mapping[str, Any]) -> StoredMessage:
    message_id, parent_id, role, status = item["id"], item["parent_id"], item["role"], item["status"]
    if type(message_id) is not int or not _is_id(parent_id):
        raise ValueError(f"message {message_id!r} with parent {parent_id!r}: expected numbers")
    if role not in get_args(Role) or status not in get_args(Status):
        raise ValueError(f"role {role!r} or status {status!r} is unknown")
    ended: Status = "interrupted" if status == "generating" else status
    content, created = _text(item["content"]), _time(item["created"])
    return StoredMessage(message_id, "", parent_id, role, content, ended, created, dict(item["stats"]))


def _is_id(value: object) -> bool:
    return value is None or type(value) is int


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {type(value).__name__}")
    return value


def _time(value: object) -> str:
    return datetime.fromisoformat(_text(value)).isoformat(timespec="milliseconds")


def _object(text: str) -> dict[str, Any]:
    """Settings that were stored by hand or by another version may be anything."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _self_contained(markdown: str) -> str:
    """Markdown that ends in the state it began in: fences closed, tags outside of code escaped."""
    lines, fence = [], ""
    for line in markdown.splitlines():
        match = _FENCE.fullmatch(line)
        if match and not fence and not (match[1][0] == "`" and "`" in match[2]):
            fence = match[1]
        elif match and fence and match[1][0] == fence[0] and len(match[1]) >= len(fence) and not match[2].strip():
            fence = ""
        elif not fence:
            line = _escape_tags(line)
        lines.append(line)
    return "\n".join([*lines, fence] if fence else lines)


def _escape_tags(line: str) -> str:
    return _CODE_OR_TAG.sub(lambda match: match.group() if match.group() != "<" else r"\<", line)
