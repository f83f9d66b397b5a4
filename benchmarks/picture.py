"""The picture at the head of the README: the chat on the real model, exported as SVG.

python -m benchmarks.picture [chat.svg]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from edgeai.history import History
from edgeai.session import Session
from tests.tui.chat_app import Chat
from tui.app import EdgeAIApp
from tui.settings import ConversationSettings

QUESTIONS = ("Name three uses of a paper clip.", "Write a short Python function that adds two numbers.")


async def take(path: Path, folder: Path) -> None:
    """Hold a short conversation and draw the window."""
    settings = ConversationSettings(temperature=0.2, top_p=0.9, seed=1, max_tokens=160)
    with History(folder / "history.db") as history:
        app = EdgeAIApp(Session, history, settings=settings)
        async with app.run_test(size=(110, 36)) as pilot:
            chat = Chat(app, pilot)
            await chat.until(lambda: chat.screen.status.n_ctx)
            for question in QUESTIONS:
                await chat.ask(question)
            await pilot.pause(1.5)
            path.write_text(app.export_screenshot(title="edgeai chat"), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(take(Path(sys.argv[1] if len(sys.argv) > 1 else "chat.svg"), Path(temporary)))
