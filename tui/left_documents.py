"""Documents of a conversation that another one has taken the screen from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tui.chat import Chat
from tui.chat_documents import ChatDocument
from tui.document_refs import DocumentRef
from tui.reader import ReadJob


class LeftDocuments:
    """What is being read goes on for the conversation that it was added to; a new chat's documents wait for it.

    Args:
        usual: the documents of every new chat.

    Attributes:
        unsent: a new chat with documents of its own, to which nothing was sent before it was left.
    """

    def __init__(self, usual: Iterable[DocumentRef] = ()) -> None:
        self.unsent: Chat | None = None
        self._usual = {ref.path for ref in usual}
        self._read_for: dict[str, list[ChatDocument]] = {}

    def unsent_refs(self, shown: Chat) -> tuple[DocumentRef, ...]:
        """What was added to the new chat, and nothing was asked about yet; it may be the shown one."""
        chat = shown if shown.id is None else self.unsent
        added = (item for item in chat.documents if str(item.path) not in self._usual) if chat is not None else ()
        return tuple(item.ref for item in added if item.ref is not None and item.state != "missing")

    def leave(self, chat: Chat, following: Chat, *, is_begun: bool) -> list[ChatDocument]:
        """One conversation gives way to another.

        Args:
            chat: the one that was shown.
            following: the one that is shown next.
            is_begun: something was sent in the first, but it is not stored yet.
        Returns:
            The documents that are in neither and come to nothing.
        """
        reading = [item for item in chat.documents if item.state == "reading"]
        new = [item for item in reading if item.ref is None]
        _cancel(item for item in reading if item.ref is not None)  # it is read again when its conversation is shown
        if chat.id is not None:
            if new:
                self._read_for.setdefault(chat.id, []).extend(new)
            return []
        added = [item for item in chat.documents if str(item.path) not in self._usual]
        if following.id is not None and not is_begun:
            self.unsent = chat if added else None
            return []
        _cancel(new)
        return new if is_begun else added

    def come(self, chat: Chat) -> None:
        """A conversation is shown: what is being read for it is its own again."""
        if chat is self.unsent:
            self.unsent = None
        there = {item.path for item in chat.documents}
        items = self._read_for.pop(chat.id, []) if chat.id is not None else []
        chat.documents += [item for item in items if item.path not in there]
        refs = tuple(item.ref for item in chat.documents if item.ref is not None)
        chat.settings = replace(chat.settings, documents=refs)

    def find(self, job: ReadJob) -> tuple[ChatDocument, str | None] | None:
        """What a job reads, and the conversation that it is for; None stands for the chat that was not sent."""
        for item in self.unsent.documents if self.unsent is not None else ():
            if item.job is job:
                return item, None
        for conversation_id, items in self._read_for.items():
            for item in items:
                if item.job is job:
                    return item, conversation_id
        return None

    def drop(self, item: ChatDocument) -> None:
        """It is stored with its conversation, or cannot be read."""
        for items in self._read_for.values():
            if item in items:
                items.remove(item)
        if self.unsent is not None and item.document is None and item in self.unsent.documents:
            self.unsent.documents.remove(item)

    def forget(self, conversation_id: str) -> None:
        """The conversation is deleted."""
        _cancel(self._read_for.pop(conversation_id, []))


def _cancel(items: Iterable[ChatDocument]) -> None:
    for item in items:
        if item.job is not None:
            item.job.cancel()
