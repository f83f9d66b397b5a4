"""How many tokens documents have, and which context window holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeai.documents.prompt_text import document_text
from edgeai.documents.types import Document
from edgeai.messages import Message
from tui.documents import holds, window_of

if TYPE_CHECKING:
    from edgeai.response import Response
    from edgeai.session import Session

_COUNTED_CHARS = 4_000_000
"""Longer documents fit no window of a small device: their tokens are estimated, as counting would take seconds."""
_CHARS_A_TOKEN = 4


class Room:
    """Remembers what was counted, and the windows that a model could not be opened with."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._most: dict[str, int] = {}

    def count(self, session: Session, documents: Sequence[Document]) -> dict[str, int]:
        """The tokens of each document, by its SHA-256."""
        for document in documents:
            key = (session.model_name, document.sha256)
            if key not in self._counts:
                text = document_text(document)
                long = len(text) > _COUNTED_CHARS
                self._counts[key] = len(text) // _CHARS_A_TOKEN if long else session.count_tokens(text)
        return {document.sha256: self._counts[session.model_name, document.sha256] for document in documents}

    def wanted(self, session: Session, n_tokens: int, messages: Sequence[Message]) -> int | None:
        """A larger window for so many tokens of documents and a conversation; None where none is needed or can be."""
        n_tokens += sum(len(message.content) for message in messages) // _CHARS_A_TOKEN
        n_ctx = window_of(n_tokens, session.info.n_ctx_train)
        if n_ctx is None or n_ctx <= session.n_ctx or not holds(n_ctx, n_tokens):
            return None
        return n_ctx if n_ctx < self._most.get(session.model_name, n_ctx + 1) else None

    def opened(self, model_name: str, wanted: int, n_ctx: int) -> None:
        """A model was to be opened with a window, and has this one now."""
        if n_ctx < wanted:
            self._most[model_name] = min(wanted, self._most.get(model_name, wanted))


def tokens_around(session: Session, n_tokens: int, messages: Sequence[Message], response: Response) -> int | None:
    """Tokens of a finished answer's prompt that are neither documents nor messages; None where it held only passages.

    Args:
        n_tokens: of the documents.
        messages: what the answer was asked with.
    """
    kept = "\n".join(message.content for message in messages if message not in response.dropped)
    n_around = response.usage.prompt_tokens - n_tokens - session.count_tokens(kept)
    return n_around if n_around >= 0 else None
