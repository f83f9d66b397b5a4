"""How the table of an output looks, against pictures that a person has seen and found good.

After a wanted change: `pytest tests/tui/test_classify_looks.py --snapshot-update`, and look at the new SVG files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.test_classify_view import LABELS, ROWS, output, press, row, until
from tests.tui.test_looks import still
from tui.classify_app import ResultApp
from tui.classify_view import opened
from tui.themes import DARK, LIGHT

Compare = Callable[..., bool]

TEXTS = (
    "The parcel came late and the box was crushed; support never answered my three letters.",
    "すばらしい品質です。毎日使っています。",
    "It is a lamp. It makes light.",
    "Battery lasts two days, charging takes ages. Would buy again, but not for this price.",
)


def app_of(folder: Path, monkeypatch: pytest.MonkeyPatch, theme: str) -> ResultApp:
    """The table of seventy rows, by a name that is the same everywhere."""
    monkeypatch.chdir(folder)
    more = [row(number, TEXTS[number % 4], LABELS[number % 3], 0.4 + number / 130) for number in range(6, 70)]
    path = output(Path("reviews.out.jsonl"), [*ROWS, *more])
    return ResultApp(*opened(path), theme=theme)


@pytest.mark.parametrize(
    ("size", "theme"), [((80, 24), DARK.name), ((80, 24), LIGHT.name), ((200, 60), DARK.name), ((200, 60), LIGHT.name)]
)
def test_the_table(
    size: tuple[int, int], theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snap_compare: Compare
) -> None:
    app = app_of(tmp_path, monkeypatch, theme)

    async def prepare(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.corrections is not None)
        await press(pilot, "down", "down", "1", "s", *"margin", "enter", "down", "down")
        await still(pilot)

    assert snap_compare(app, terminal_size=size, run_before=prepare)


def test_a_whole_item_of_hostile_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snap_compare: Compare) -> None:
    app = app_of(tmp_path, monkeypatch, DARK.name)

    async def prepare(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.corrections is not None)
        await press(pilot, "down", "enter")
        await still(pilot)

    assert snap_compare(app, run_before=prepare)


def test_choosing_what_rows_are_sorted_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snap_compare: Compare
) -> None:
    app = app_of(tmp_path, monkeypatch, LIGHT.name)

    async def prepare(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.corrections is not None)
        await press(pilot, "s", "p")
        await still(pilot)

    assert snap_compare(app, run_before=prepare)
