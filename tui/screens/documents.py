"""The screen's part that reads the documents of a conversation and has them evaluated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from textual import on, work

from edgeai.documents.read import find_documents
from edgeai.errors import DocumentError
from tui import engine
from tui.chat_documents import ChatDocument, ready_words, told
from tui.document_refs import MAX_DOCUMENTS, absolute
from tui.pace import Pace
from tui.reader import DocumentNotRead, DocumentRead, DocumentReading
from tui.screens.parts import ChatParts
from tui.screens.password import PasswordScreen
from tui.settings import ConversationSettings
from tui.turn import Turn, preparation
from tui.widgets.block import Block
from tui.widgets.document_bar import DocumentBar


class DocumentParts(ChatParts):
    """Reads documents in the background, one after the other, and prepares the model for questions about them."""

    preparing: Turn | None = None
    _prepared: Sequence[ChatDocument] = ()
    _pace = Pace()
    _has_new = False  # a document was added that the model has not evaluated

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
        if self.chat.documents is not documents:  # another conversation is shown by now
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
        item.state = "missing"
        index = self.chat.documents.index(item)
        del self.chat.documents[index]
        await self._keep_documents()
        self.evaluate_again(index)

    def evaluate_again(self, index: int = 0) -> None:
        """What stands before the documents from this one on has changed, or they may fit the window now."""
        for item in self.chat.documents[:index]:
            item.state = "read" if item.state == "searched" else item.state
        for item in self.chat.documents[index:]:
            item.state = "read" if item.document is not None else item.state
        self.stop_preparing()
        self.show_documents()
        self.prepare()

    def restore_documents(self) -> None:
        """Read what the shown conversation is about."""
        self.stop_preparing()
        self._has_new = False
        self._start_reading([item for item in self.chat.documents if item.document is None])

    def leave_documents(self) -> None:
        """Read nothing more for the conversation that is left."""
        for item in self.unread:
            if item.job is not None:
                item.job.cancel()

    def stop_reading(self) -> None:
        """Leave out what is being read."""
        stopped = self.unread
        self.leave_documents()
        for item in stopped:
            item.state = "missing"
        self.chat.documents[:] = [item for item in self.chat.documents if item not in stopped or item.ref is not None]
        self.show_documents()
        self.say(f"Not read: {', '.join(item.name for item in stopped)}")

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

    def _item_of(self, event: DocumentReading | DocumentRead | DocumentNotRead) -> ChatDocument | None:
        return next((item for item in self.chat.documents if item.job is event.job), None)

    @on(DocumentReading)
    def _document_reading(self, event: DocumentReading) -> None:
        if (item := self._item_of(event)) is not None:
            item.n_done, item.n_total = event.n_done, event.n_total
            self.show_documents()

    @on(DocumentRead)
    async def _document_read(self, event: DocumentRead) -> None:
        if (item := self._item_of(event)) is None:
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
        self._has_new = self._has_new or before is None
        self._done_reading()

    @on(DocumentNotRead)
    @work
    async def _document_not_read(self, event: DocumentNotRead) -> None:
        if (item := self._item_of(event)) is None:
            return
        if event.error.needs_password:
            asked = PasswordScreen(item.name, again=event.job.password is not None)
            password = await self.app.push_screen_wait(asked)
            if self._item_of(event) is None:  # removed, stopped or left meanwhile
                return
            if password is not None:
                item.job = self.reader.read(item.path, password)
                return
        item.state, item.job = "missing", None
        if item.ref is None:
            self.chat.documents.remove(item)
            self.show_problem("Not added", str(event.error))
        else:
            self.show_problem("Without a document", f"{event.error}. The conversation goes on without it.")
        self._done_reading()

    def _done_reading(self) -> None:
        self.show_documents()
        self.prepare()

    async def _keep_documents(self) -> None:
        refs = tuple(item.ref for item in self.chat.documents if item.ref is not None)
        await self.keep_settings(replace(self.chat.settings, documents=refs))

    # --- evaluating ---

    def prepare(self) -> None:
        """Have new documents evaluated; those of a conversation that is opened again are only looked up."""
        wanted = self.read_documents
        if self.live is not None or self.unread or all(item.state != "read" for item in wanted):
            return
        if self.preparing is not None:  # it did not come to its end
            self._has_new = self._has_new or not self.preparing.question.only_if_cached
        self.stop_preparing()
        self._prepared, self._pace = wanted, Pace()
        documents = [item.document for item in wanted if item.document is not None]
        question = preparation(documents, self.chat.settings.system, only_if_cached=not self._has_new)
        self._has_new = False
        self.preparing = self.engine.ask(question)
        self.show_activity()

    def stop_preparing(self) -> None:
        """Stop evaluating; what has been evaluated is of use to the next question."""
        if self.preparing is not None:
            self.preparing.cancel()
            self.preparing = None

    def read_preparation(self, event: engine.TurnReading) -> None:
        """So much of the documents is evaluated."""
        self._pace.tell(event.n_done, event.n_total)
        self.show_activity()

    def end_preparation(self, event: engine.TurnEnded) -> None:
        """They are ready, or not to be had."""
        self.preparing = None
        result = event.result
        if result.error is None and result.finish_reason != "cancelled":
            told(self._prepared, cached_tokens=result.usage.cached_tokens, n_ctx=self.status.n_ctx)
        self.show_documents()

    @on(engine.DocumentsCounted)
    def _counted(self, event: engine.DocumentsCounted) -> None:
        for item in self.read_documents:
            if item.document is not None:
                item.n_tokens = event.counts.get(item.document.sha256, item.n_tokens)
        self.show_documents()

    @on(engine.WindowChanged)
    def _window_changed(self, event: engine.WindowChanged) -> None:
        self.status.n_ctx = event.n_ctx
        self.load_note = ""
        if event.error is not None:
            self.show_problem(f"The context window stays at {event.n_ctx:,} tokens", str(event.error))
        self.show_activity()

    def forget_evaluated(self) -> None:
        """Another model answers."""
        for item in self.read_documents:
            item.state, item.n_tokens = "read", 0
        self.show_documents()

    # --- saying it ---

    def show_documents(self) -> None:
        """Bring the line above the prompt up to date."""
        self.query_one(DocumentBar).show(self.chat.documents)
        self.refresh_bindings()
        self.show_activity()

    def documents_activity(self) -> str:
        """What is being done with documents, for the status line; nothing where nothing is."""
        if unread := self.unread:
            first = next((item for item in unread if item.n_total), unread[0])
            return first.progress + (f" (+{len(unread) - 1})" if len(unread) > 1 else "")
        if self.preparing is not None:
            return f"evaluating the document {self._pace.words}".rstrip()
        return ""

    def documents_ready(self) -> str:
        """`document ready (cached)`, where it is."""
        return ready_words(self.chat.documents)

    def show_problem(self, title: str, words: str) -> None:
        """What could not be done, in the conversation."""
        self.conversation.add(Block("error", words, title=title))

    def show_activity(self) -> None:
        """Bring the status line up to date; the screen's next part does."""

    async def keep_settings(self, settings: ConversationSettings) -> None:
        """Change the settings of the shown conversation, also in the store."""
        self.chat.settings = settings
        if self.chat.id is not None:
            with self.errors_shown():
                await asyncio.to_thread(self.history.update, self.chat.id, settings=settings.to_json())
