"""The two programs that benchmarks/tui_open.py runs in a terminal: our chat, and Textual's own Markdown widgets.

    python -m benchmarks.tui_apps ours|peer N_TURNS RESULT.json

Each opens a conversation of N turns, writes how long that took, then shows an endless answer of some 100 tokens a
second while the keyboard is tried.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Markdown, TextArea

from edgeai import Response, Session
from edgeai.backends.base import Event, GenerateRequest, Piece
from edgeai.history import History
from edgeai.options import Isolation
from tests.fakes import FakeBackend
from tui.app import EdgeAIApp

ANSWER = """Here are **three uses** of a `paper clip`:

1. **Holding papers** together: the obvious one, for which it was made.
2. **Resetting a router**: push the end into the small hole, wait ten seconds and release it again slowly.
3. **A bookmark** that does not fall out.

```python
def bend(wire: float) -> float:
    return wire * 3
```

日本語の文章も、絵文字も表示できます。 That is all there is to say about it.

"""
TOKEN_S = 0.01


class PacedBackend(FakeBackend):
    """A model that writes 100 tokens a second."""

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        for event in super().generate(request):
            if isinstance(event, Piece):
                time.sleep(TOKEN_S)
            yield event


class Ours(EdgeAIApp):
    """The chat; it opens the long conversation by itself and asks."""

    def __init__(self, history: History, n_turns: int, result: Path) -> None:
        self._backend = PacedBackend(n_ctx=1 << 30).enqueue(ANSWER * 200)
        super().__init__(self._open, history)
        self._result = result
        self._long_id = fill(history, n_turns)

    def _open(self, model: str | None, *, on_load_progress: Callable[[float], None], **load_options: Any) -> Session:
        return Session(backend=self._backend)

    async def on_ready(self) -> None:
        """The first frame is on the screen."""
        started = time.perf_counter()
        await self.chat_screen.open_conversation(self._long_id)
        self.call_after_refresh(self._opened, started)

    def _opened(self, started: float) -> None:
        write_result(self._result, started)
        self.set_timer(3.0, self._ask)  # first the keyboard is tried while nothing else happens

    def _ask(self) -> None:
        screen = self.chat_screen
        screen.ask("", "Go on", screen.chat.path[-4:])


class EndlessSession(Session):
    """Answers until the context window is full, so that there is an answer as long as keys are tried."""

    def chat(self, *arguments: Any, **options: Any) -> Response:
        ends = self._backend.tokenize(self.info.eos_token, parse_special=True)
        return super().chat(*arguments, **options, logit_bias=dict.fromkeys(ends, float("-inf")))


class OnModel(Ours):
    """The chat on the default model, whose engine is in a process of its own, or inside of this one."""

    def __init__(self, history: History, n_turns: int, result: Path, isolation: Isolation, model: str) -> None:
        super().__init__(history, n_turns, result)
        self._path = model
        self._isolation = isolation

    def _open(self, model: str | None, *, on_load_progress: Callable[[float], None], **load_options: Any) -> Session:
        return EndlessSession(self._path, isolation=self._isolation, on_load_progress=on_load_progress)

    def _ask(self) -> None:
        self.chat_screen.ask("", "Write the numbers from 1 to 1000 in words, one in a line.", [])


class Peer(App[None]):
    """A Markdown widget for each message, the answer through Textual's MarkdownStream."""

    def __init__(self, n_turns: int, result: Path) -> None:
        super().__init__()
        self._n_turns = n_turns
        self._result = result

    def compose(self) -> ComposeResult:
        yield VerticalScroll()
        yield TextArea()

    async def on_ready(self) -> None:
        """The first frame is on the screen."""
        self.query_one(TextArea).styles.height = 4
        self.query_one(TextArea).focus()
        started = time.perf_counter()
        view = self.query_one(VerticalScroll)
        view.anchor()
        widgets = [Markdown(text) for number in range(self._n_turns) for text in (f"question {number}", ANSWER)]
        await view.mount_all(widgets)
        self.call_after_refresh(self._opened, started)

    def _opened(self, started: float) -> None:
        write_result(self._result, started)
        self.set_timer(3.0, self._ask)

    def _ask(self) -> None:
        self.run_worker(self._stream())

    async def _stream(self) -> None:
        markdown = Markdown("")
        await self.query_one(VerticalScroll).mount(markdown)
        stream = Markdown.get_stream(markdown)
        for word in (ANSWER * 200).split(" "):
            await stream.write(word + " ")
            await asyncio.sleep(TOKEN_S)


def fill(history: History, n_turns: int) -> str:
    """A stored conversation; its id."""
    conversation, parent = history.create(title="long"), None
    with history._db.not_synced():
        for number in range(n_turns):
            _user, parent = history.begin_turn(conversation.id, parent, f"question {number}")
            history.finish_turn(parent, ANSWER)
    return conversation.id


def write_result(path: Path, started: float) -> None:
    """Tell the parent; the rename makes it whole."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps({"open_ms": (time.perf_counter() - started) * 1000}))
    temporary.replace(path)


def main() -> None:
    which, n_turns, result = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if which == "peer":
        Peer(n_turns, result).run()
        return
    with tempfile.TemporaryDirectory() as folder, History(Path(folder) / "history.db") as history:
        app: App[Any] = Ours(history, n_turns, result)
        if which != "ours":
            app = OnModel(history, n_turns, result, "process" if which == "process" else "none", sys.argv[4])
        app.run()


if __name__ == "__main__":
    main()
