"""The chat on a fake model, for tests that drive it through Textual's pilot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from edgeai import ModelNotFoundError
from edgeai.history import History
from edgeai.session import Session
from tests.fakes import FakeBackend
from tui.app import EdgeAIApp
from tui.screens.chat import ChatScreen
from tui.settings import ConversationSettings
from tui.voice import Ends, RealEnds
from tui.widgets.block import Block

ChatPilot = Pilot[None]


class Models:
    """Opens fake models.

    Attributes:
        backend: what the next model to be opened is.
        opened: names that were opened.
        missing: names that are not installed.
        is_open: opening waits until it is true.
        options: what else each was opened with.
    """

    def __init__(self, *answers: str, n_ctx: int = 4096, sees: bool = False) -> None:
        self.backend = FakeBackend(n_ctx=n_ctx, sees=sees).enqueue(*answers)
        self.opened: list[str | None] = []
        self.missing: set[str | None] = set()
        self.is_open = True
        self.options: list[dict[str, Any]] = []

    def __call__(self, model: str | None, *, on_load_progress: Callable[[float], None], **options: Any) -> Session:
        self.opened.append(model)
        self.options.append(options)
        on_load_progress(0.43)
        while not self.is_open:
            time.sleep(0.005)
        if model in self.missing:
            raise ModelNotFoundError(f"{model}: no such model is installed: edgeai models pull {model}")
        self.backend.closed = False
        return Session(backend=self.backend)


class Chat:
    """A running chat and short words for what a test does with it."""

    def __init__(self, app: EdgeAIApp, pilot: ChatPilot, models: Models | None = None) -> None:
        self.app = app
        self.pilot = pilot
        self.models = models or Models()
        self.press = pilot.press
        self.history = app.history

    @property
    def screen(self) -> ChatScreen:
        return self.app.chat_screen

    @property
    def blocks(self) -> list[Block]:
        return self.screen.conversation.blocks

    @property
    def texts(self) -> list[str]:
        """The texts of the messages on the screen."""
        return [block.text for block in self.blocks if block.kind in ("user", "assistant")]

    @property
    def notices(self) -> str:
        """The texts of the notices on the screen."""
        return "\n".join(block.text for block in self.blocks if block.kind in ("notice", "error"))

    @property
    def toasts(self) -> str:
        return "\n".join(notification.message for notification in self.app._notifications)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, for at most a minute: the machine may be busy."""
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"still not: {condition}; on the screen: {self.texts} {self.notices} {self.toasts}")

    async def send(self, text: str) -> None:
        """Type a message and send it."""
        self.screen.prompt.write(text)
        await self.pilot.press("enter")
        await self.until(lambda: self.screen.prompt.text == "")

    async def ask(self, text: str) -> None:
        """Send a message and wait for the whole answer."""
        await self.send(text)
        await self.answered()

    async def answered(self) -> None:
        """Wait until no answer is being made, and what was stored is shown."""
        await self.until(lambda: self.screen.live is None)
        await self.pilot.pause()


@asynccontextmanager
async def running_chat(
    models: Models | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    folder: Path | None = None,
    model: str | None = None,
    settings: ConversationSettings | None = None,
    n_unreadable: int = 0,
    pictures: Sequence[Path] = (),
    conversation_id: str | None = None,
    open_ends: Callable[[], Ends] = RealEnds,
) -> AsyncIterator[Chat]:
    """The chat, its model loaded unless the model's gate is closed."""
    models = models or Models()
    with History() as history:
        app = EdgeAIApp(
            models,
            history,
            model,
            settings,
            folder=folder,
            conversation_id=conversation_id,
            n_unreadable=n_unreadable,
            pictures=pictures,
            open_ends=open_ends,
        )
        async with app.run_test(size=size) as pilot:
            chat = Chat(app, pilot, models)
            await chat.until(
                lambda: app.chat_screen.query("PromptEditor") and chat.screen.focused is chat.screen.prompt
            )
            if models.is_open and model not in models.missing:
                await chat.until(lambda: chat.screen.status.model_name)
            try:
                yield chat
            finally:
                models.is_open = True
