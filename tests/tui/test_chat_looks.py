"""How the chat looks, against pictures that a person has seen and found good.

After a wanted change: `pytest tests/tui/test_chat_looks.py --snapshot-update`, and look at the new SVG files.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from textual.pilot import Pilot

from edgeai.history import History
from tests.tui.chat_app import Chat, Models
from tui.app import EdgeAIApp
from tui.themes import LIGHT

Compare = Callable[..., bool]

ANSWER = """# Paper clips

A *paper clip* can be **three things**, says `clips.txt`:

1. a holder for papers that is long enough a line to be wrapped on a small screen, more than once
   - nested, with a [link](https://example.org/clips)
2. a bookmark

> 紙クリップは、紙をまとめる道具です。

| name | 用途 |
|---|---|
| clip | 紙をとめる 📎 |

```python
def bend(wire: float) -> float:
    return wire * 3  # [bold]text[/bold]
```
"""


@pytest.fixture(autouse=True)
def fixed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _self: SimpleNamespace(rss=321_000_000))


def compare(
    snap_compare: Compare,
    prepare: Callable[[Chat], Awaitable[None]],
    size: tuple[int, int],
    theme: str | None = None,
    folder: Path | None = None,
) -> bool:
    """Show a conversation on a fake model, prepare what is to be seen, and compare."""
    models = Models(ANSWER, "Yes.\n")
    with History() as history:
        app = EdgeAIApp(models, history, theme=theme, folder=folder)

        async def run(pilot: Pilot[None]) -> None:
            chat = Chat(app, pilot, models)
            await chat.until(lambda: chat.screen.query("StatusBar"))
            await chat.until(lambda: chat.screen.status.n_ctx)
            chat.screen.prompt.cursor_blink = False
            chat.screen.status.memory_bytes = 321_000_000
            await prepare(chat)
            await pilot.pause()

        return snap_compare(app, terminal_size=size, run_before=run)


def test_an_answer_on_a_small_terminal(snap_compare: Compare) -> None:
    async def prepare(chat: Chat) -> None:
        await chat.ask("What is a paper clip?")
        chat.screen.prompt.write("次の質問を書いています")

    assert compare(snap_compare, prepare, (80, 24))


def test_a_conversation_on_a_large_terminal_by_day(snap_compare: Compare, tmp_path: Path) -> None:
    (tmp_path / "clips.txt").write_text("x" * 1234)

    async def prepare(chat: Chat) -> None:
        await chat.ask("What is in @clips.txt ?")
        await chat.ask("Really?")
        await chat.app.workers.wait_for_complete()

    assert compare(snap_compare, prepare, (200, 60), LIGHT.name, tmp_path)


def test_a_chosen_block_with_branches(snap_compare: Compare) -> None:
    async def prepare(chat: Chat) -> None:
        await chat.ask("What is a paper clip?")
        await chat.press("alt+up", "r")
        await chat.until(lambda: chat.texts[-1] == "Yes.\n")
        await chat.answered()
        await chat.press("alt+up")
        await chat.until(lambda: chat.blocks[-1].branch == (2, 2))

    assert compare(snap_compare, prepare, (80, 24))


def test_an_error(snap_compare: Compare) -> None:
    async def prepare(chat: Chat) -> None:
        chat.models.missing = {"gemma-3-4b"}
        chat.app.engine.load("gemma-3-4b")
        await chat.until(lambda: "edgeai models pull" in chat.notices)

    assert compare(snap_compare, prepare, (80, 24))
