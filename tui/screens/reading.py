"""The screen's part that reads the documents of conversations, also of one that was left meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from textual import on, work

from edgeai.documents.read import find_documents
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line
from tui.chat import Chat
from tui.chat_documents import ChatDocument
from tui.document_refs import MAX_DOCUMENTS, absolute
from tui.reader import DocumentNotRead, DocumentRead, DocumentReading, ReadJob
from tui.screens.parts import ChatParts
from tui.screens.password import PasswordScreen
from tui.settings import ConversationSettings
from tui.widgets.block import Block

_IN_USE = ("evaluated", "cached", "searched")


class ReadingParts(ChatParts):
    """Reads documents in the background, one after the other, each for the conversation that it was added to."""

    _has_new = False  # what the model has not evaluated is to be evaluated now, not with the next question

    # --- which documents ---

    @property
    def unread(self) -> list[ChatDocument]:
        """Those that are being read."""
        return [item for item in self.chat.documents if item.state == "reading"]

    @property
    def read_documents(self) -> list[ChatDocument]:
        """Those that a question is about."""
        return [item for item in self.chat.documents if item.document is not None]

    async def add_documents(self, paths: Sequence[Path]) -> list[ChatDocument]:
        """Begin to read files, folders and globs; gives the documents that are new."""
        documents = self.chat.documents
        found = await asyncio.to_thread(lambda: list(islice(find_documents(paths), MAX_DOCUMENTS + 1)))
        if self.chat.documents is not documents:
            self.say("No document was added: another conversation was opened meanwhile.", error=True)
            return []
        errors = [item for item in found if isinstance(item, DocumentError)]
        there = {item.path for item in documents}
        named = dict.fromkeys(absolute(item) for item in found if isinstance(item, Path))
        new = [ChatDocument(path) for path in named if path not in there]
        if len(there) + len(new) > MAX_DOCUMENTS:
            words = f"more than {MAX_DOCUMENTS} documents: a conversation takes at most {MAX_DOCUMENTS}; name fewer"
            errors, new = [DocumentError(words)], []
        for error in errors:
            self.show_problem("Not added", str(error))
        if not new and not errors:
            self.say("It is a document of this conversation already.")
        documents += new
        self._start_reading(new)
        return new

    async def remove_document(self, item: ChatDocument) -> None:
        """Take a document out of the conversation."""
        if item.job is not None:
            item.job.cancel()
        index = self.chat.documents.index(item)
        # What stood behind it, or fits the window now without it, is evaluated as it was when it was added.
        self._has_new = self._has_new or any(other.state in _IN_USE for other in self.chat.documents)
        item.state = "missing"
        del self.chat.documents[index]
        await self._keep_documents()
        self.evaluate_again(index)

    def keep_unsent(self) -> None:
        """What was added to a new chat is kept as what was typed is, until something is sent."""
        self.drafts.documents = self.left.unsent_refs(self.chat)

    def change_documents(self, chat: Chat) -> None:
        """Another conversation is about to be shown: what is read for the present one is read on, for it."""
        lost = self.left.leave(self.chat, chat, is_begun=self.live_is_shown and self.chat.id is None)
        if lost:
            self.say(f"Left out: {_names(lost)}. Add it again where you want it.", error=True)
        self.left.come(chat)

    def restore_documents(self) -> None:
        """Read what the shown conversation is about."""
        self.stop_preparing()
        self._has_new = any(item.state == "read" for item in self.chat.documents)
        for item in self.read_documents:
            item.state = "read"  # another conversation may have taken its place in the model
        self._start_reading([item for item in self.chat.documents if item.document is None and not _is_read_on(item)])

    def stop_reading(self) -> None:
        """Leave out what is being read."""
        stopped = self.unread
        for item in stopped:
            if item.job is not None:
                item.job.cancel()
            item.state = "missing"
        self.chat.documents[:] = [item for item in self.chat.documents if item not in stopped or item.ref is not None]
        self.show_documents()
        self.say(f"Not read: {_names(stopped)}")

    async def all_read(self, wanted: Sequence[ChatDocument]) -> bool:
        """Wait until nothing is being read; whether all that was wanted has been."""
        while self.unread:
            await asyncio.sleep(0.05)
        return all(item.document is not None for item in wanted)

    # --- reading ---

    def _start_reading(self, documents: Sequence[ChatDocument]) -> None:
        for item in documents:
            item.state, item.job = "reading", self.reader.read(item.path)
        self.show_documents()

    def _item_of(self, job: ReadJob) -> ChatDocument | None:
        return next((item for item in self.chat.documents if item.job is job), None)

    @on(DocumentReading)
    def _document_reading(self, event: DocumentReading) -> None:
        if (item := self._item_of(event.job)) is not None:
            item.n_done, item.n_total = event.n_done, event.n_total
            self.show_documents()

    @on(DocumentRead)
    async def _document_read(self, event: DocumentRead) -> None:
        if (item := self._item_of(event.job)) is None:
            await self._read_elsewhere(event)
            return
        before, document = item.ref, event.document
        item.takes(document)
        if before is not None and before.sha256 != document.sha256:
            words = (
                f"{item.name} has changed since this conversation read it. From now on it is about what it says now."
            )
            self.conversation.add(Block("notice", words, title="Changed"))
        if pages := document.pages_without_text:
            words = f"{len(pages)} of {document.n_pages} pages of {item.name} are pictures without text."
            self.conversation.add(Block("notice", words, title="Not all of it can be read"))
        if before != item.ref:
            await self._keep_documents()
        self._has_new = self._has_new or before is None or self.chat.id is None
        self._done_reading()

    @on(DocumentNotRead)
    @work
    async def _document_not_read(self, event: DocumentNotRead) -> None:
        if (item := self._item_of(event.job)) is None:
            await self._read_elsewhere(event)
            return
        if event.error.needs_password:
            asked = PasswordScreen(item.name, again=event.job.password is not None)
            password = await self.app.push_screen_wait(asked)
            if self._item_of(event.job) is None:  # removed, stopped or left meanwhile
                return
            if password is not None:
                item.job = self.reader.read(item.path, password)
                return
        item.state, item.job = "missing", None
        if item.ref is None:
            self.chat.documents.remove(item)
            self.show_problem("Not added", _problem(item, event.error, "add it again to be asked for it"))
        else:
            problem = _problem(item, event.error, "open the conversation again to be asked for it")
            self.show_problem("Without a document", f"{problem}. The conversation goes on without it.")
        self._done_reading()

    def _done_reading(self) -> None:
        self.show_documents()
        self.prepare()

    async def _keep_documents(self) -> None:
        refs = tuple(item.ref for item in self.chat.documents if item.ref is not None)
        await self.keep_settings(replace(self.chat.settings, documents=refs))

    # --- for a conversation that is not shown ---

    async def _read_elsewhere(self, event: DocumentRead | DocumentNotRead) -> None:
        """What was read goes into the conversation that it was added to, and a line says so."""
        if (found := self.left.find(event.job)) is None:
            return
        item, conversation_id = found
        with self.errors_shown():
            title = "the new chat"
            if conversation_id is not None:
                title = f"“{one_line((await asyncio.to_thread(self.history.get, conversation_id)).title)}”"
            if isinstance(event, DocumentNotRead):
                problem = _problem(item, event.error, "add it again there to be asked for it")
                self.say(f"Not added to {title}: {problem}", error=True)
            else:
                item.takes(event.document)
                if conversation_id is not None:
                    await asyncio.to_thread(self._store_document, conversation_id, item)
                self.say(f"{item.name} is read, and a document of {title}.")
        self.left.drop(item)
        if item in self.chat.documents:  # its conversation is shown again
            self._done_reading()

    def _store_document(self, conversation_id: str, item: ChatDocument) -> None:
        stored = ConversationSettings.from_json(self.history.get(conversation_id).settings)
        if item.ref is not None:
            settings = replace(stored, documents=(*stored.documents, item.ref))
            self.history.update(conversation_id, settings=settings.to_json())

    # --- what the screen's next parts do ---

    def prepare(self) -> None:
        """Have new documents evaluated."""

    def stop_preparing(self) -> None:
        """Stop evaluating."""

    def evaluate_again(self, index: int = 0) -> None:
        """What stands before the documents from this one on has changed."""

    def show_documents(self) -> None:
        """Bring the line above the prompt up to date."""

    def show_problem(self, title: str, words: str) -> None:
        """What could not be done, in the conversation."""
        self.conversation.add(Block("error", words, title=title))

    async def keep_settings(self, settings: ConversationSettings) -> None:
        """Change the settings of the shown conversation, also in the store."""
        self.chat.settings = settings
        if self.chat.id is not None:
            with self.errors_shown():
                await asyncio.to_thread(self.history.update, self.chat.id, settings=settings.to_json())


def _names(items: Sequence[ChatDocument]) -> str:
    return ", ".join(item.name for item in items)


def _is_read_on(item: ChatDocument) -> bool:
    """Whether it is being read since before its conversation was left."""
    return item.state == "reading" and item.job is not None and not item.job.cancelled


def _problem(item: ChatDocument, error: DocumentError, again: str) -> str:
    """The error in a window, which asks for a password itself."""
    return f"{item.name} is encrypted and was given no password: {again}" if error.needs_password else str(error)
