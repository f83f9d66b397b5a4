"""How the dialogs and the list look, against pictures that a person has seen and found good.

After a wanted change: `pytest tests/tui/test_looks.py --snapshot-update`, and look at the new SVG files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from edgeai.history_types import SearchHit
from edgeai.installed import InstalledModel
from edgeai.model_list import ModelFacts
from tests.tui.dialogs import DialogApp, settled
from tests.tui.test_sidebar import Conversations
from tui.screens.model_picker import ModelPicker
from tui.screens.search import SearchScreen
from tui.screens.settings import SettingsScreen
from tui.settings import ConversationSettings
from tui.themes import DARK, LIGHT
from tui.widgets.sidebar import Sidebar

Compare = Callable[..., bool]


async def still(pilot: Pilot[None]) -> None:
    """Nothing blinks, nothing is under way."""
    await settled(pilot)
    for field in (*pilot.app.screen.query(Input), *pilot.app.screen.query(TextArea)):
        field.cursor_blink = False
    await settled(pilot)


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name])
def test_settings(theme: str, snap_compare: Compare) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await settled(pilot)
        pilot.app.screen.query_one("#top_p", Input).value = "5"
        await still(pilot)

    settings = ConversationSettings(system="日本語で短く答えてください。", temperature=0.2)
    app = DialogApp(lambda: SettingsScreen(settings, title="Paper [b]clips[/b] 紙"), theme=theme)
    assert snap_compare(app, run_before=prepare)


def test_model_picker(snap_compare: Compare) -> None:
    installed = InstalledModel("m", Path(__file__))
    small = ModelFacts(
        "small-135m", "Small 135M", parameters=134_515_008, ftype="Q4_1", size_bytes=98_362_432, licence="Apache-2.0"
    )
    rows = [
        replace(small, n_ctx_train=8192, memory_bytes=198_000_000, fits=True, installed=installed),
        replace(small, name="picture-500m", licence="PLaMo Community License", modalities=("text", "image"), fits=True),
        ModelFacts("日本語-8b", "[b]8B[/b]", parameters=8_100_000_000, size_bytes=5_500_000_000, fits=False),
    ]
    app = DialogApp(lambda: ModelPicker(rows, "small-135m", 3_200_000_000))
    assert snap_compare(app, run_before=still)


def test_search_on_a_large_terminal(snap_compare: Compare) -> None:
    class Found(Conversations):
        def search(self, query: str, limit: int = 50) -> list[SearchHit]:
            return [
                SearchHit("a", None, None, "Battery prices", "Battery prices", [(0, 7)]),
                SearchHit("b", 1, "assistant", "電池の話", "…この電池は化学エネルギーを電気に変える。", [(3, 5)]),
            ]

    async def prepare(pilot: Pilot[None]) -> None:
        await settled(pilot)
        pilot.app.screen.query_one(Input).value = "battery"
        await still(pilot)

    app = DialogApp(lambda: SearchScreen(Found()), theme=LIGHT.name)
    assert snap_compare(app, terminal_size=(200, 60), run_before=prepare)


def test_sidebar(snap_compare: Compare) -> None:
    class ListApp(App[None]):
        def compose(self) -> ComposeResult:
            yield Sidebar(Conversations("Paper [b]clips[/b]", "とても長い日本語の題名がここに入ります", "", "party 🎉"))

    async def prepare(pilot: Pilot[None]) -> None:
        await settled(pilot)
        pilot.app.query_one(Sidebar).current = "id1"
        await still(pilot)

    app = ListApp()
    app.register_theme(DARK)
    app.theme = DARK.name
    assert snap_compare(app, run_before=prepare)
