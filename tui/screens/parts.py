"""The chat screen's widgets and its state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Static

from edgeai import EdgeAIError
from edgeai.history import History
from edgeai.history_types import StoredMessage
from tui.chat import Chat
from tui.drafts import NEW, Drafts
from tui.engine import Engine
from tui.left_documents import LeftDocuments
from tui.live_turn import LiveTurn
from tui.reader import Reader
from tui.settings import ConversationSettings
from tui.widgets.conversation import Conversation
from tui.widgets.document_bar import DocumentBar
from tui.widgets.keys import Keys
from tui.widgets.picture_bar import PictureBar
from tui.widgets.prompt import PromptEditor
from tui.widgets.sidebar import Sidebar
from tui.widgets.source_view import SourceView
from tui.widgets.status import StatusBar
from tui.widgets.title import TitleBar


class ChatParts(Screen[None]):
    """The widgets of the chat, its state, and how it says something.

    Args:
        history: the store.
        engine: makes the answers.
        reader: reads the documents.
        drafts: what was typed and not sent.
        settings: those of new conversations.
        folder: where a message's files are.
        first_id: the conversation to begin with; None begins a new one.
    """

    def __init__(
        self,
        history: History,
        engine: Engine,
        reader: Reader,
        drafts: Drafts,
        settings: ConversationSettings,
        folder: Path,
        first_id: str | None = None,
    ) -> None:
        super().__init__()
        self.history = history
        self.engine = engine
        self.reader = reader
        self.drafts = drafts
        self.default_settings = settings
        self.folder = folder
        self.first_id = first_id
        self.chat = Chat(settings)
        self.left = LeftDocuments(settings.documents)
        if drafts.documents:
            refs = {ref.path: ref for ref in (*settings.documents, *drafts.documents)}
            self.left.unsent = Chat(replace(settings, documents=tuple(refs.values())))
        self.live: LiveTurn | None = None
        self.editing: StoredMessage | None = None
        self.load_note = ""  # what the status line says of a model that is being loaded
        self.trimming: set[str] = set()  # conversations whose oldest turns may be left out

    def compose(self) -> ComposeResult:
        """The list at the left; the title, the conversation, the prompt and the status line; a source at the right."""
        with Horizontal():
            yield Sidebar(self.history)
            with Vertical(id="main"):
                yield TitleBar()
                yield Conversation()
                yield Static("Editing an earlier message: Enter sends it as a new branch, Esc leaves", id="editing")
                yield DocumentBar()
                yield PictureBar()
                with Horizontal(id="prompt-row"):
                    yield PromptEditor()
                yield StatusBar()
            yield SourceView()
        yield Keys(show_command_palette=False, compact=True)

    # --- parts ---

    @property
    def conversation(self) -> Conversation:
        """The blocks."""
        return self.query_one(Conversation)

    @property
    def prompt(self) -> PromptEditor:
        """What is being typed."""
        return self.query_one(PromptEditor)

    @property
    def status(self) -> StatusBar:
        """The status line."""
        return self.query_one(StatusBar)

    @property
    def live_is_shown(self) -> bool:
        """Whether the turn that is being made belongs to the conversation on the screen."""
        return self.live is not None and self.live.answer in self.conversation.blocks

    @contextmanager
    def errors_shown(self) -> Iterator[None]:
        """Show what goes wrong in the block as a message in the window."""
        try:
            yield
        except EdgeAIError as exc:
            self.say(str(exc), error=True)

    def say(self, text: str, *, error: bool = False) -> None:
        """A short message over the window."""
        self.notify(text, severity="error" if error else "information", markup=False, timeout=8 if error else 3)

    def show_title(self) -> None:
        """The shown conversation in the title line and in the list."""
        self.query_one(TitleBar).title = self.chat.title
        self.query_one(Sidebar).current = self.chat.id

    # --- what is being typed ---

    def start_editing(self, message: StoredMessage) -> None:
        """What is typed takes a message's place, as a new branch."""
        self.editing = message
        self.add_class("-editing")
        self.refresh_bindings()

    def stop_editing(self) -> None:
        """What is typed is a new message again."""
        self.editing = None
        self.remove_class("-editing")
        self.refresh_bindings()

    def remember_draft(self) -> None:
        """Keep what is typed; also what was sent, until it is stored."""
        if self.editing is None:
            waiting = (
                self.live.typed if self.live is not None and self.live_is_shown and not self.live.turn.begun else ""
            )
            self.drafts.set(self.chat.id or NEW, join_texts(waiting, self.prompt.text))

    def give_back(self, live: LiveTurn) -> None:
        """What was typed for a turn that could not begin goes where it came from."""
        key = live.store.conversation_id or NEW
        if key != (self.chat.id or NEW):
            self.drafts.set(key, join_texts(live.typed, self.drafts.get(key)))
        elif live.typed:
            self.prompt.write(join_texts(live.typed, self.prompt.text))
            self.remember_draft()


def join_texts(first: str, second: str) -> str:
    """Two texts below each other; one of them where they are the same or the other is empty."""
    return "\n".join(dict.fromkeys(text for text in (first, second) if text))
