"""The chat screen: moving between conversations, and the dialogs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus, Resize
from textual.widgets import TextArea

from edgeai import ModelNotFoundError
from edgeai.machine import resident_bytes
from edgeai.safe_text import one_line
from tui import engine_events
from tui.attachments import mention
from tui.chat import Chat, open_chat
from tui.drafts import NEW
from tui.screens.voice import VoiceCommands
from tui.widgets.block import Block
from tui.widgets.conversation import Conversation
from tui.widgets.prompt import PromptEditor
from tui.widgets.sidebar import ConversationList, Sidebar
from tui.widgets.source_view import SourceView

_FOR_THE_CONVERSATION = ("walk", "pick_model", "settings")
LIST_FITS = 100
"""Columns from which the list of conversations is shown unasked."""
SOURCE_FITS = 100
"""Columns from which a source is shown beside the conversation."""
LIST_AND_SOURCE_FIT = 160
"""Columns from which both are."""


class ChatScreen(VoiceCommands):
    """The whole chat.

    Attributes:
        first_pictures: files to begin with.
    """

    first_pictures: Sequence[Path] = ()

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", priority=True, tooltip="Stop the answer; leave editing"),
        Binding("ctrl+n", "new_chat", "New", tooltip="Begin a new conversation"),
        Binding("ctrl+l", "toggle_list", "List", tooltip="Show or hide the list of conversations"),
        Binding("alt+up", "walk", "Blocks", tooltip="Walk through the conversation"),
        Binding("ctrl+up", "walk", "Walk through the conversation", show=False),
        Binding("ctrl+o", "pick_model", "Model", tooltip="Choose the model"),
        Binding("ctrl+f", "search", "Find", show=False, priority=True, tooltip="Search all conversations"),
        Binding("f2", "add_document", "Docs", tooltip="Add a document to this conversation"),
        Binding("f8", "add_picture", "Picture", tooltip="Add a picture to your message"),
        Binding("f3", "documents", "Documents", show=False, tooltip="See and remove the documents"),
        Binding("f4", "sources", "Sources", show=False, tooltip="Open the sources of the last answer"),
        Binding("f5", "dictate", "Dictate", show=False, priority=True, tooltip="Write what you say into the prompt"),
        Binding("f6", "talk", "Voice", show=False, priority=True, tooltip="Talk by voice: answers are read out"),
        Binding("ctrl+s", "settings", "Settings", tooltip="System prompt and sampling of this conversation"),
        Binding("f1", "help", "Help", tooltip="All keys"),
    ]

    def on_mount(self) -> None:
        """Begin with a new chat."""
        self.begin_pictures()
        self.start_clock()
        self._list_wanted: bool | None = None
        self.set_interval(1.0, self._tick)
        self.show_chat(self.left.unsent or Chat(self.default_settings))
        self._begin()
        self.prompt.focus()
        self.call_after_refresh(self._focus_prompt)  # its first layout hides it for a moment, which takes the focus

    def _focus_prompt(self) -> None:
        if not self.has_class("-source"):
            self.prompt.focus()

    def _tick(self) -> None:
        self.status.memory_bytes = resident_bytes(os.getpid(), self.engine.pid)
        self._save_drafts()

    @work(thread=True, exclusive=True, group="drafts")
    def _save_drafts(self) -> None:
        self.drafts.save()

    @work
    async def _begin(self) -> None:
        """Open the conversation that was asked for, or the last that a crash cut off, and say what was cut off."""
        with self.errors_shown():
            lost = await asyncio.to_thread(self.history.recover)
            wanted = self.first_id or (lost[-1].conversation_id if lost else None)
            if wanted is not None and self.chat.id is None and self.live is None:
                await self.open_conversation(wanted)
            self.tell_unreadable()
            for message in lost:
                title = (await asyncio.to_thread(self.history.get, message.conversation_id)).title
                text = f"An answer in “{one_line(title)}” was interrupted. What was stored of it is kept."
                self.conversation.add(Block("notice", text, title="Interrupted"))
            if self.first_pictures:
                await self.attach(self.first_pictures)

    # --- conversations ---

    async def open_conversation(self, conversation_id: str, message_id: int | None = None) -> None:
        """Show a stored conversation, at a message where one is given."""
        with self.errors_shown():
            if message_id is not None:
                await asyncio.to_thread(self._show_branch, conversation_id, message_id)
            chat = await asyncio.to_thread(open_chat, self.history, conversation_id)
            self.show_chat(chat)
            if message_id is not None and (index := self.conversation.find(message_id)) is not None:
                self.conversation.focus()
                self.conversation.select(index)

    def _show_branch(self, conversation_id: str, message_id: int) -> None:
        """Make the branch with a message the shown one."""
        if all(message.id != message_id for message in self.history.path(conversation_id)):
            self.history.set_head(conversation_id, self.history.leaf_of(message_id))

    def action_new_chat(self) -> None:
        """Begin a conversation; it is stored with its first message."""
        self.show_chat(self.left.unsent or Chat(self.default_settings))
        self.prompt.focus()

    @on(Sidebar.NewRequested)
    def _new_requested(self) -> None:
        self.action_new_chat()

    @on(Sidebar.Opened)
    async def _opened(self, event: Sidebar.Opened) -> None:
        await self.open_conversation(event.conversation_id)
        self.prompt.focus()

    def action_toggle_list(self) -> None:
        """Show or hide the list of conversations."""
        self._list_wanted = not self.has_class("-with-list")
        self.place()
        if self._list_wanted:
            self.query_one(Sidebar).focus_list()
        else:
            self.prompt.focus()

    def on_resize(self, event: Resize) -> None:
        """Show the list where there is room for it, unless the user has decided."""
        self.place()

    def place(self) -> None:
        """Put the list and an open source where there is room; on a small screen the source takes all of it."""
        with_source = self.has_class("-source")
        fits = self.size.width >= (LIST_AND_SOURCE_FIT if with_source else LIST_FITS)
        narrow = self.size.width < SOURCE_FITS
        wanted = fits if self._list_wanted is None or (with_source and not fits) else self._list_wanted
        self.set_class(wanted, "-with-list")
        self.set_class(narrow, "-narrow")
        # Set on the widgets: by the stylesheet it would come after the focus, which nothing hidden can have.
        self.query(SourceView).set(display=with_source)
        self.query("#main").set(display=not (with_source and narrow))
        self.refresh_bindings()

    # --- writing ---

    @on(TextArea.Changed)
    def _typed(self, event: TextArea.Changed) -> None:
        if event.text_area is self.prompt:
            self.remember_draft()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """No block is chosen while one writes."""
        if event.widget is self.prompt:
            self.conversation.select(None)

    @work
    async def on_prompt_editor_file_requested(self) -> None:
        """Choose a file and write its name behind the `@`."""
        from tui.screens.file_picker import FilePicker

        path = await self.app.push_screen_wait(FilePicker(self.folder))
        if path is not None:
            self.prompt.insert(mention(Path(path), self.folder)[1:] + " ")

    def action_page(self, step: int) -> None:
        """Turn a page of the conversation while the prompt has the focus."""
        view = self.conversation
        view.scroll_relative(y=step * max(1, view.n_visible - 2), animate=False)

    def action_walk(self) -> None:
        """Go to the last block on the screen."""
        self.conversation.focus()

    def action_stop(self) -> None:
        """Stop the answer, or the reading of documents, or leave editing."""
        was_speaking = self.voice.is_speaking
        if self.voice.is_hands_free:
            self.voice.interrupt()
        if self.live is not None and self.live_is_shown:
            self.live.turn.cancel()
            self.show_activity()
        elif was_speaking:
            self.show_activity()
        elif self.unread:
            self.stop_reading()
        elif self.preparing is not None:
            self.stop_preparing()
            self.show_documents()
        else:
            self.stop_editing()
            self.prompt.write(self.drafts.get(self.chat.id or NEW))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Esc stops only where there is something to stop, so that it also leaves the blocks and closes a source."""
        if action == "stop" and isinstance(self.focused, SourceView):
            return False
        if action in _FOR_THE_CONVERSATION:  # a source covers it, and its own keys need the room
            return not (self.has_class("-source") and self.has_class("-narrow"))
        if action == "stop":
            busy = self.live_is_shown or bool(self.unread) or self.preparing is not None or self.voice.is_speaking
            return busy or self.editing is not None
        return True

    # --- the model ---

    @on(engine_events.ModelLoading)
    def _loading(self, event: engine_events.ModelLoading) -> None:
        self.load_note = f"loading {Path(event.model or 'the model').name} {event.share:.0%}"
        self.show_activity()

    @on(engine_events.ModelReady)
    def _ready(self, event: engine_events.ModelReady) -> None:
        self.status.model_name, self.status.n_ctx = event.model, event.n_ctx
        self.libraries = event.libraries
        self.status.context_used = 0
        self.load_note = ""
        self.forget_evaluated()
        self.count_again()
        self.prepare()

    @on(engine_events.ModelFailed)
    def _failed(self, event: engine_events.ModelFailed) -> None:
        self.status.model_name = event.fallback or ""
        self.load_note = ""
        self.show_activity()
        self.conversation.add(Block("error", str(event.error), title="The model could not be loaded"))
        if event.fallback is None and isinstance(event.error, ModelNotFoundError):
            self.action_pick_model()

    @work
    async def action_pick_model(self) -> None:
        """Choose a model; the conversation goes on with it."""
        from tui.screens.model_picker import ModelPicker

        model = await self.app.push_screen_wait(ModelPicker(current=self.status.model_name or None))
        if model is not None:
            self.engine.load(model)

    # --- dialogs ---

    @work
    async def action_settings(self) -> None:
        """The system prompt and the sampling of this conversation."""
        from tui.screens.settings import SettingsScreen

        settings = await self.app.push_screen_wait(SettingsScreen(self.chat.settings, title=self.chat.title))
        if settings is not None:
            system = self.chat.settings.system
            await self.keep_settings(replace(settings, documents=self.chat.settings.documents))
            if settings.system != system:
                self.evaluate_again()

    @work
    async def action_search(self) -> None:
        """Search all conversations."""
        from tui.screens.search import SearchScreen

        found = await self.app.push_screen_wait(SearchScreen(self.history))
        if found is not None:
            await self.open_conversation(found.conversation_id, found.message_id)

    def action_help(self) -> None:
        """All keys."""
        from tui.screens.help import HelpScreen

        groups = {
            "Chat": [*ChatScreen.BINDINGS, *self.app.BINDINGS],
            "Writing": PromptEditor.BINDINGS,
            "Blocks of the conversation": Conversation.BINDINGS,
            "A source beside the answer": SourceView.BINDINGS,
            "List of conversations": ConversationList.BINDINGS,
        }
        self.app.push_screen(HelpScreen(groups))
