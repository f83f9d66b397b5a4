"""The chat on the real model: through Textual's pilot, and in a real terminal, killed and started again."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from edgeai.history import History
from edgeai.session import Session
from tests.tui.chat_app import Chat
from tui.app import EdgeAIApp
from tui.settings import ConversationSettings

pytestmark = pytest.mark.weights

NUMBERS = itertools.count()


async def test_a_whole_conversation(real_model: Path) -> None:
    settings = ConversationSettings(temperature=0.2, top_p=0.9, seed=1, max_tokens=40)
    with History() as history:
        app = EdgeAIApp(Session, history, str(real_model), settings)
        async with app.run_test(size=(100, 30)) as pilot:
            chat = Chat(app, pilot)
            await chat.until(lambda: chat.screen.status.n_ctx)
            await chat.ask("What is the capital of France? Answer with one word.")
            assert "Paris" in chat.texts[1]
            await chat.ask("Count from one to ten in words.")
            await chat.ask("日本語で「こんにちは」と言ってください。🎉")
            assert len(chat.texts) == 6
            path = history.path(history.conversations()[0].id)
            assert [item.content for item in path if item.role == "assistant"] == chat.texts[1::2]
            reused = [item.stats["usage"]["cached_tokens"] for item in path if item.role == "assistant"]
            assert reused[1] > 30
            assert reused[2] > reused[1]
            assert chat.screen.status.context_used > reused[2]


async def test_escape_stops_the_real_model_at_once(real_model: Path) -> None:
    with History() as history:
        app = EdgeAIApp(Session, history, str(real_model))
        async with app.run_test(size=(100, 30)) as pilot:
            chat = Chat(app, pilot)
            await chat.send("Tell me a very long story about a lion.")
            await chat.until(lambda: chat.texts[-1:] and len(chat.texts[-1]) > 40)
            live = chat.screen.live
            assert live is not None
            await chat.press("escape")
            n_tokens = live.turn.n_tokens
            await chat.answered()
            assert live.turn.n_tokens <= n_tokens + 1
            assert chat.blocks[-1].note.startswith("stopped")


class TmuxChat:
    """`edgeai chat` in a terminal of 100 by 30, seen and typed into through tmux."""

    def __init__(self, home: Path, model: Path) -> None:
        self._socket = f"edgeai-test-{os.getpid()}-{next(NUMBERS)}"  # a server that is ending takes no new window
        program = "import sys; from tui.cli import main; sys.exit(main())"
        self._command = f"{sys.executable} -c '{program}' chat -m {model} --temperature 0; echo exit code $?; sleep 60"
        self._environment = {**os.environ, "EDGEAI_HOME": str(home)}

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        return done.stdout

    def start(self) -> None:
        self.tmux("new-session", "-d", "-s", "chat", "-x", "100", "-y", "30", self._command)

    def stop(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, timeout=20, check=False)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", "chat", "-l", text)

    def press(self, key: str) -> None:
        self.tmux("send-keys", "-t", "chat", key)

    def wait_for(self, pattern: str) -> str:
        """The screen as soon as it shows the pattern."""
        screen = ""
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            screen = self.tmux("capture-pane", "-p", "-t", "chat")
            if re.search(pattern, screen):
                return screen
            time.sleep(0.05)
        raise AssertionError(f"{pattern} is not on the screen:\n{screen}")

    def kill(self) -> None:
        """kill -9 the chat; the shell round it stays."""
        for child in self._shell.children():
            child.kill()

    def kill_engine(self) -> None:
        """kill -9 the engine's process; the chat stays."""
        engines = [
            child for child in self._shell.children(recursive=True) if "edgeai.engine.child" in str(child.cmdline())
        ]
        assert len(engines) == 1
        engines[0].kill()

    @property
    def _shell(self) -> psutil.Process:
        return psutil.Process(int(self.tmux("display-message", "-p", "-t", "chat", "#{pane_pid}")))


@pytest.fixture
def terminal(home: Path, real_model: Path) -> Iterator[Callable[[], TmuxChat]]:
    """Starts the chat in a terminal, as often as it is called."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    chats: list[TmuxChat] = []

    def start() -> TmuxChat:
        for chat in chats:
            chat.stop()
        chats.append(TmuxChat(home, real_model))
        chats[-1].start()
        chats[-1].wait_for("ready")
        return chats[-1]

    yield start
    for chat in chats:
        chat.stop()


def test_in_a_real_terminal(terminal: Callable[[], TmuxChat]) -> None:
    chat = terminal()
    chat.type("Write a very long story about two lions.")
    chat.press("Enter")
    chat.wait_for(r"writing \d+ tok/s")
    chat.type("also 日本語")
    chat.wait_for("also 日本語")
    chat.press("Escape")
    screen = chat.wait_for("stopped")
    assert "also 日本語" in screen
    assert "Write a very long story about two lions." in screen
    chat.press("C-q")
    chat.wait_for("exit code 0")


def test_kill_9_loses_at_most_the_turn_that_was_being_made(terminal: Callable[[], TmuxChat], home: Path) -> None:
    chat = terminal()
    chat.type("Say hello.")
    chat.press("Enter")
    chat.wait_for(r"ready\s.*[1-9]\d*/\d")
    with History(home / "history.db") as history:
        before = history.path(history.conversations()[0].id)
    chat.type("Write a very long story about two lions.")
    chat.press("Enter")
    chat.wait_for(r"writing \d+ tok/s")
    chat.kill()
    chat.wait_for("exit code 137")
    chat = terminal()
    screen = chat.wait_for("interrupted")
    assert "two lions" in screen
    with History(home / "history.db") as history:
        path = history.path(history.conversations()[0].id)
    assert path[: len(before)] == before
    assert [item.status for item in path[len(before) :]] == ["complete", "interrupted"]


def test_an_engine_that_is_killed_costs_one_answer(terminal: Callable[[], TmuxChat], home: Path) -> None:
    chat = terminal()
    chat.type("Write a very long story about two lions.")
    chat.press("Enter")
    chat.wait_for(r"writing \d+ tok/s")
    chat.type("typed meanwhile")
    chat.kill_engine()
    screen = chat.wait_for("SIGKILL")
    assert "typed meanwhile" in screen
    assert "two lions" in screen
    assert "Traceback" not in screen
    chat.press("C-u")
    chat.type("Write a very long story about two tigers.")
    chat.press("Enter")
    chat.wait_for(r"writing \d+ tok/s")
    chat.press("Escape")
    chat.wait_for(r"stopped|ready\s")
    with History(home / "history.db") as history:
        path = history.path(history.conversations()[0].id)
    assert [item.status for item in path[:3]] == ["complete", "error", "complete"]
    assert path[3].status in ("cancelled", "complete")
    assert path[1].content
    assert path[3].content
    chat.press("C-q")
    chat.wait_for("exit code 0")
