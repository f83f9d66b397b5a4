"""The chat application: themes, commands, and the engine's life."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import rich.text
from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from edgeai import EdgeAIError
from edgeai.config import set_config_text
from edgeai.documents.types import Document
from edgeai.files import write_text
from edgeai.history import History
from edgeai.history_db import IN_MEMORY
from edgeai.paths import data_dir
from edgeai.safe_text import plain
from tui.drafts import Drafts
from tui.engine import Engine, OpenSession
from tui.graphics import Graphics
from tui.picture_shelf import PictureShelf
from tui.reader import Reader
from tui.screens.chat import ChatScreen
from tui.settings import ConversationSettings
from tui.themes import DARK, LIGHT
from tui.voice import Ends, RealEnds, VoiceMode

logger = logging.getLogger(__name__)


class EdgeAIApp(App[None]):
    """A chat with a model on this device.

    Args:
        open_session: opens a model: `edgeai.Session`, or what a test puts in its place.
        history: the stored conversations.
        model: the model to start with; None takes the default.
        settings: those of new conversations.
        theme: the name of a theme; None takes the dark one.
        folder: where `@` looks for files.
        conversation_id: the conversation to go on with; None begins a new one.
        documents: that have been read already, for the conversations whose settings name them.
        n_unreadable: documents that were asked for and could not be read.
        pictures: files that go with the first message.
        graphics: what the terminal can show; None: half blocks.
        open_ends: opens what is heard and spoken with, when F5 or F6 is pressed first.
    """

    CSS_PATH = Path(__file__).with_name("app.tcss")  # absolute, so that subclasses elsewhere find it
    TITLE = "edgeai"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", priority=True, tooltip="Leave; everything is stored"),
        Binding("ctrl+t", "toggle_theme", "Light or dark", show=False, priority=True),
        Binding("ctrl+p", "command_palette", "All commands", show=False, priority=True),
    ]

    def __init__(
        self,
        open_session: OpenSession,
        history: History,
        model: str | None = None,
        settings: ConversationSettings | None = None,
        *,
        theme: str | None = None,
        folder: Path | None = None,
        conversation_id: str | None = None,
        documents: Iterable[Document] = (),
        n_unreadable: int = 0,
        pictures: Sequence[Path] = (),
        graphics: Graphics | None = None,
        open_ends: Callable[[], Ends] = RealEnds,
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # an animated scroll shows text that nobody can read
        self.history = history
        self.default_settings = settings or ConversationSettings()
        self.folder = folder or Path.cwd()
        self.drafts = Drafts(None if history.file_path == IN_MEMORY else data_dir() / "drafts.json")
        self.shelf = PictureShelf()
        self.engine = Engine(open_session, self._post_from_thread, self.shelf)
        self.reader = Reader(self._post_from_thread, documents)
        self.voice = VoiceMode(self._post_from_thread, open_ends)
        self._graphics = graphics or Graphics()
        self._pictures = pictures
        self._model = model
        self._n_unreadable = n_unreadable
        self._conversation_id = conversation_id
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = theme if theme in self.available_themes else DARK.name

    def get_default_screen(self) -> Screen[None]:
        """The chat is there from the first frame on; the model loads meanwhile."""
        self.chat_screen = ChatScreen(
            self.history,
            self.engine,
            self.reader,
            self.drafts,
            self.default_settings,
            self.folder,
            self._conversation_id,
        )
        self.chat_screen.voice = self.voice
        self.chat_screen.shelf, self.chat_screen.graphics = self.shelf, self._graphics
        self.chat_screen.first_pictures = self._pictures
        self.chat_screen.n_unreadable = self._n_unreadable
        return self.chat_screen

    def on_mount(self) -> None:
        """Start to load the model."""
        self.engine.start()
        self.engine.load(self._model)

    async def on_unmount(self) -> None:
        """Store what is being made, free the model."""
        self.reader.close()
        await asyncio.to_thread(self.voice.close)
        await asyncio.to_thread(self.engine.close)
        await asyncio.to_thread(self.shelf.close)
        self.chat_screen.keep_unsent()
        await asyncio.to_thread(self.drafts.save)

    async def action_quit(self) -> None:
        """Leave; what is being read is in no conversation yet, and a line says so."""
        reading = ", ".join(item.name for item in self.chat_screen.unread if item.ref is None)
        self.exit(message=rich.text.Text(f"Not read to its end, and not kept: {reading}") if reading else None)

    def _post_from_thread(self, event: Message) -> None:
        self.chat_screen.post_message(event)

    def action_toggle_theme(self) -> None:
        """Change between light and dark, also for the next time."""
        self.theme = DARK.name if not self.current_theme.dark else LIGHT.name

    def watch_theme(self, theme: str) -> None:
        """Keep the choice, made with a key or in the command palette."""
        if self.is_running:
            self._keep_theme(theme)

    @work(thread=True, exclusive=True, group="theme")
    def _keep_theme(self, theme: str) -> None:
        try:
            set_config_text("theme", theme)
        except (EdgeAIError, OSError) as exc:
            logger.warning("the theme was not stored: %s", exc)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        if screen is self.chat_screen:
            chat = self.chat_screen
            yield SystemCommand("New chat", "Begin a new conversation", chat.action_new_chat)
            yield SystemCommand("Model", "Choose the model that answers", chat.action_pick_model)
            yield SystemCommand(
                "Add a document…", "Ask about a PDF, Word, text … (also /doc PATH)", chat.action_add_document
            )
            yield SystemCommand(
                "Add a picture…", "Show the model a photo, a scan … (also /image PATH)", chat.action_add_picture
            )
            yield SystemCommand("Documents", "See and remove this conversation's documents", chat.action_documents)
            yield SystemCommand("Sources", "Open the sources of the last answer", chat.action_sources)
            yield SystemCommand("Settings", "System prompt and sampling of this conversation", chat.action_settings)
            yield SystemCommand("Export", "Write this conversation to a file", chat.action_export)
            yield SystemCommand("Find", "Search all conversations", chat.action_search)
            yield SystemCommand("List", "Show or hide the list of conversations", chat.action_toggle_list)
        yield SystemCommand("Light or dark", "Change between the light and the dark look", self.action_toggle_theme)
        yield SystemCommand("Theme", "Choose among all themes", self.action_change_theme)
        yield SystemCommand("Help", "All keys", self.chat_screen.action_help)
        yield SystemCommand("Quit", "Leave the chat; everything is stored", self.action_quit)

    def _fatal_error(self) -> None:
        """A fault of ours: one line on the terminal, the details in a file, the terminal itself unharmed."""
        path = data_dir() / "crash.log"
        with suppress(OSError):
            write_text(path, traceback.format_exc())
        error = sys.exc_info()[1]
        line = f"error: the chat stopped: {type(error).__name__}: {error} (details in {path}); what was sent is stored"
        self._exit_renderables.append(rich.text.Text(plain(line)))
        self._close_messages_no_wait()
