"""What the store of conversations gives back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgeai.messages import Message

Role = Literal["user", "assistant"]
Status = Literal["complete", "generating", "cancelled", "interrupted", "error"]
_TITLE_CHARS = 60
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_PATH = 4096
_PICTURES = "pictures"  # of a user's stats


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
class PictureRef:
    """A picture that a user showed, as it is stored: which file, never its pixels.

    Attributes:
        path: absolute.
        sha256: of the file's bytes.
        width: pixels.
        height: likewise.
        n_tokens: that it took in the context window; 0 where the model does not see, None where that is not known.
    """

    path: str
    sha256: str
    width: int
    height: int
    n_tokens: int | None = None


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
        stats: numbers about an answer (usage, timings); of a user's message, its pictures.
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

    @property
    def pictures(self) -> tuple[PictureRef, ...]:
        """What the user showed with it, as far as what is stored makes sense."""
        stored = self.stats.get(_PICTURES) if self.role == "user" else None
        refs = map(_picture_ref, stored) if isinstance(stored, list) else ()
        return tuple(ref for ref in refs if ref is not None)


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
    return [*messages, *(Message(stored.role, stored.heard) for stored in answered(path))]


def answered(path: Sequence[StoredMessage]) -> list[StoredMessage]:
    """The messages of a branch without the turns whose answer has no text."""
    kept = []
    for stored, following in zip(path, [*path[1:], None], strict=False):
        answer = stored if stored.role == "assistant" else following
        if answer is None or answer.heard:
            kept.append(stored)
    return kept


def picture_stats(pictures: Sequence[PictureRef]) -> dict[str, Any]:
    """What is stored with a user's message about its pictures; a name that is no Unicode is not found again."""
    stored = [{**asdict(ref), "path": ref.path.encode("utf-8", "replace").decode()} for ref in pictures]
    return {_PICTURES: stored} if stored else {}


def _picture_ref(item: object) -> PictureRef | None:
    """A picture as it was stored, by hand or by another version perhaps."""
    try:
        ref = PictureRef(**item)  # type: ignore[arg-type]
        numbers = (ref.width, ref.height, ref.n_tokens or 0)
        makes_sense = len(ref.path) <= _MAX_PATH and "\0" not in ref.path and Path(ref.path).is_absolute()
        makes_sense = makes_sense and all(type(number) is int and number >= 0 for number in numbers)
        return ref if makes_sense and _SHA256.fullmatch(ref.sha256) else None
    except TypeError:
        return None
