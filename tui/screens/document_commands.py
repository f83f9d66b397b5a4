"""What the user does with documents: `/doc`, the file picker, a dropped file, the list of documents, sources."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual import on, work
from textual.widget import Widget

from edgeai.documents.read import is_readable
from edgeai.safe_text import one_line
from edgeai.vision.sniff import is_picture
from tui.chat_documents import ChatDocument
from tui.dropped_paths import dropped_files, typed_paths
from tui.screens.documents import DocumentParts
from tui.widgets.conversation import Conversation
from tui.widgets.document_bar import DocumentBar
from tui.widgets.prompt import PromptEditor
from tui.widgets.source_view import SourceView

_REMOVE = "remove"


class DocumentCommands(DocumentParts):
    """Answers what the user asks for."""

    _returns_to: Widget | None = None  # what had the focus before a source was opened

    # --- documents ---

    @work
    async def obey_doc(self, rest: str) -> None:
        """Do what `/doc PATH`, `/doc remove NAME` or `/doc` says."""
        if not rest:
            self.action_documents()
        elif rest.split()[0] == _REMOVE:
            await self._remove_named(rest[len(_REMOVE) :].strip())
        else:
            await self.add_documents(await asyncio.to_thread(typed_paths, rest, self.folder))

    async def _remove_named(self, name: str) -> None:
        found = named(self.chat.documents, name) if name else None
        if found is None:
            names = ", ".join(item.name for item in self.chat.documents) or "none"
            problem = f"{one_line(name)}: no one document of that name" if name else "/doc remove needs a name"
            self.show_problem("Not removed", f"{problem}; there are: {names}")
        else:
            await self.remove_document(found)
            self.say(f"Removed {found.name}")

    @work
    async def action_add_document(self) -> None:
        """Choose a document below the current folder."""
        await self._pick_document()

    async def _pick_document(self) -> None:
        from tui.screens.file_picker import FilePicker

        picker = FilePicker(self.folder, "Add a document", is_readable, hint="/doc PATH adds one from anywhere.")
        path = await self.app.push_screen_wait(picker)
        if path is not None:
            await self.add_documents([path])

    @work
    async def action_documents(self) -> None:
        """See, add and remove documents."""
        from tui.screens.document_list import DocumentList

        while (
            choice := await self.app.push_screen_wait(DocumentList(tuple(self.chat.documents), self.libraries))
        ) is not None:
            if choice.action == "add":
                await self._pick_document()
                return
            if choice.document in self.chat.documents:
                await self.remove_document(choice.document)

    @on(DocumentBar.Clicked)
    def _bar_clicked(self) -> None:
        self.action_documents()

    @on(PromptEditor.PathsPasted)
    @work
    async def _paths_pasted(self, event: PromptEditor.PathsPasted) -> None:
        paths = await asyncio.to_thread(dropped_files, event.text)
        pictures = [path for path in paths if is_picture(path)]
        if not paths:
            self.prompt.paste_text(event.text)
        if documents := [path for path in paths if path not in pictures]:
            await self.add_documents(documents)
        if pictures:
            await self.attach(pictures)

    async def attach(self, paths: Sequence[Path]) -> bool:
        """Let pictures go with the next message; the screen's next part does."""
        raise NotImplementedError

    # --- sources ---

    @on(Conversation.SourceRequested)
    def _source_requested(self, event: Conversation.SourceRequested) -> None:
        self._returns_to = self.focused
        self.add_class("-source")
        view = self.query_one(SourceView)
        self.place()
        view.open(event.block.sources, event.index)
        view.focus()

    def action_sources(self) -> None:
        """Open the sources of the newest answer that has any."""
        block = next((block for block in reversed(self.conversation.blocks) if block.sources), None)
        if block is None:
            self.say("No answer here names a source.")
        else:
            self.post_message(Conversation.SourceRequested(block, 0))

    @on(SourceView.Left)
    def close_source(self) -> None:
        """Show the conversation alone again."""
        if self.has_class("-source"):
            self.remove_class("-source")
            self.place()
            (self._returns_to or self.prompt).focus()

    def place(self) -> None:
        """Put the parts where there is room for them; the screen's last part does."""


def named(documents: list[ChatDocument], name: str) -> ChatDocument | None:
    """The one document with this name or path, or the only one whose name begins so."""
    exact = [item for item in documents if name in (item.name, str(item.path))]
    found = exact or [item for item in documents if item.name.lower().startswith(name.lower())]
    return found[0] if len(found) == 1 else None
