"""What a conversation is between the store, the model and the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgeai.history import History
from edgeai.history_types import StoredMessage
from edgeai.safe_text import one_line
from edgeai.speech.unspoken import NOT_SPOKEN, unspoken
from tui.attachments import split_files
from tui.chat_documents import ChatDocument, restored
from tui.chat_pictures import PictureBook
from tui.settings import ConversationSettings
from tui.sources import from_stats
from tui.units import count_text
from tui.widgets.block import Block

_NOTE_CHARS = 24


@dataclass(slots=True)
class Chat:
    """The conversation on the screen.

    Attributes:
        id: None while nothing of it is stored.
        path: its shown branch.
        documents: what it is about; those that its settings name, until they are changed.
    """

    settings: ConversationSettings
    id: str | None = None
    title: str = ""
    model: str = ""
    path: list[StoredMessage] = field(default_factory=list)
    documents: list[ChatDocument] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.documents = self.documents or restored(self.settings.documents)

    def before(self, message_id: int) -> list[StoredMessage]:
        """The part of the path above a message."""
        ids = [message.id for message in self.path]
        return self.path[: ids.index(message_id)] if message_id in ids else list(self.path)


def open_chat(history: History, conversation_id: str) -> Chat:
    """Read a conversation.

    Raises:
        HistoryError: it is not there, or cannot be read.
    """
    stored = history.get(conversation_id)
    settings = ConversationSettings.from_json(stored.settings)
    return Chat(settings, stored.id, stored.title, stored.model, history.path(stored.id))


def blocks_of(path: Sequence[StoredMessage], book: PictureBook) -> list[Block]:
    """What the screen gets."""
    return [_block_of(message, book) for message in path]


def question_text(content: str) -> str:
    """A user's message as the screen shows it: the files that went with it by name and size."""
    text, files = split_files(content)
    lines = [f"▤ {file.name} · {count_text(file.n_characters)} characters" for file in files]
    return "\n".join([text, *lines])


def _block_of(message: StoredMessage, book: PictureBook) -> Block:
    branch = (message.branch, message.n_branches)
    if message.role != "assistant":
        text, pictures = question_text(message.content), book.of(message.pictures)
        return Block("user", text, title="You", key=message.id, branch=branch, pictures=pictures)
    title = str(message.stats.get("model") or "Answer")
    sources = from_stats(message.stats.get("citations"))
    note = _note_of(message)
    return Block("assistant", message.content, title=title, key=message.id, branch=branch, note=note, sources=sources)


def _note_of(message: StoredMessage) -> str:
    if message.status in ("interrupted", "generating"):
        return message.status
    timings = message.stats.get("timings") or {}
    note = ending_note(
        message.stats.get("finish_reason", ""),
        timings.get("decode_tokens_per_s", 0.0),
        message.stats.get("dropped", 0),
    )
    return " · ".join(part for part in (note, _unspoken_note(message)) if part)


def _unspoken_note(message: StoredMessage) -> str:
    """From where on an answer was not heard, because it was interrupted."""
    if message.heard == message.content:
        return ""
    rest = one_line(unspoken(message.content, message.heard.removesuffix(NOT_SPOKEN.strip())))
    if not rest:
        return ""
    return f"not spoken from “{rest if len(rest) <= _NOTE_CHARS else rest[:_NOTE_CHARS].rstrip() + '…'}”"


def ending_note(finish_reason: str, tokens_per_s: float = 0.0, n_dropped: int = 0) -> str:
    """A few words on how an answer came about."""
    ending = {
        "length": "cut at max_tokens",
        "context_full": "the context is full",
        "cancelled": "stopped",
        "error": "failed",
    }.get(finish_reason, "")
    speed = f"{tokens_per_s:.0f} tok/s" if tokens_per_s else ""
    dropped = f"without the oldest {n_dropped} messages" if n_dropped else ""
    return " · ".join(part for part in (ending, speed, dropped) if part)
