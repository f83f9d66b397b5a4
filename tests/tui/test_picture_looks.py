"""How pictures look in the chat, against a picture that a person has seen and found good.

After a wanted change: `pytest tests/tui/test_picture_looks.py --snapshot-update`, and look at the new SVG file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from textual.pilot import Pilot

from edgeai.history import History
from tests.tui.chat_app import Chat, Models
from tests.tui.pictured import panel_in, sees
from tui.app import EdgeAIApp


def test_a_picture_in_the_conversation_and_others_that_wait(
    snap_compare: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _self: SimpleNamespace(rss=321_000_000))
    panel_in(tmp_path)
    panel_in(tmp_path, "[b]計器盤 in the second hall on the left side.png", (1024, 768))
    models = Models("Red at its left, **blue** at its right.", sees=True)
    with History() as history:
        app = EdgeAIApp(models, history, folder=tmp_path)

        async def run(pilot: Pilot[None]) -> None:
            chat = Chat(app, pilot, models)
            await chat.until(lambda: chat.screen.query("StatusBar"))
            await chat.until(lambda: chat.screen.status.n_ctx)
            chat.screen.prompt.cursor_blink = False
            chat.screen.status.memory_bytes = 321_000_000
            await chat.send("/image panel.png")
            await chat.ask("Which colours are in it?")
            await chat.send("/image *hall*.png panel.png")
            await sees(chat, "[b]計器盤 in the second hall on the left side.png", "panel.png")

        assert snap_compare(app, terminal_size=(80, 24), run_before=run)
