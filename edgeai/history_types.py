"""What the store of conversations gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeai.messages import Message

Role = Literal["user", "assistant"]
Status = Literal["complete", "generating", "cancelled", "interrupted", "error"]
_TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation, without its messages.

    Attributes:
        id: short, for the command line too.
        title: one line; hostile text, like every text here.
        model: the model's name.
        settings: a JSON object: system prompt and sampling.
        created: UTC, ISO 8601.
        updated: when a message was last written, UTC, ISO 8601.
        head: id of the last message of the shown branch; None while it is empty.
        n_messages: messages of all branches.
    """

    id: str
    title: str
    model: str
    settings: str
    created: str
    updated: str
    head: int | None
    n_messages: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of a conversation.

    Attributes:
        id: grows with time; parents have smaller ones than their children.
        conversation_id: the conversation.
        parent_id: the message before it; None for a first one.
        role: who speaks.
        content: the text; of an answer that is being made or was interrupted, what was stored of it.
        status: how it ended, or "generating".
        created: UTC, ISO 8601.
        stats: numbers about an answer (usage, timings).
        branch: its place among its alternatives, from 1.
        n_branches: how many alternatives there are; 1 without any.
    """

    id: int
    conversation_id: str
    parent_id: int | None
    role: Role
    content: str
    status: Status
    created: str
    stats: Mapping[str, Any] = field(default_factory=dict)
    branch: int = 1
    n_branches: int = 1

    @property
    def heard(self) -> str:
        """The content; of an answer that was interrupted while it was read out, what the user heard of it."""
        heard = self.stats.get("heard")
        return heard if isinstance(heard, str) else self.content


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A title or a message in which a query was found.

    Attributes:
        conversation_id: the conversation.
        message_id: the message; None where the title matched.
        role: who said it; None where the title matched.
        title: the conversation's.
        snippet: the part of the text around the match, one line.
        matches: the places in the snippet (start, end) that match.
    """

    conversation_id: str
    message_id: int | None
    role: Role | None
    title: str
    snippet: str
    matches: Sequence[tuple[int, int]] = ()


def title_from(text: str) -> str:
    """A title made of a first message: its first line, shortened."""
    line = " ".join(next((line for line in text.splitlines() if line.strip()), "").split())
    return line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1].rstrip() + "…"


def to_messages(path: Sequence[StoredMessage], system: str | None = None) -> list[Message]:
    """A branch as a Session takes it: without the turns whose answer has no text (it failed or was stopped at once)."""
    messages = [Message("system", system)] if system else []
    for stored, following in zip(path, [*path[1:], None], strict=False):
        answer = stored if stored.role == "assistant" else following
        if answer is None or answer.heard:
            messages.append(Message(stored.role, stored.heard))
    return messages
