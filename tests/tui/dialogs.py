"""An empty application that opens one dialog, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

from textual import _wait
from textual.app import App
from textual.pilot import Pilot
from textual.screen import ModalScreen

from tui.themes import DARK, LIGHT

ESCAPE_CODES = ("\x1b", "\x07", "\x9b", "\u202e")


class DialogApp(App[None]):
    """Opens the dialog that `make` makes at once; `results` has what it was left with."""

    def __init__(self, make: Callable[[], ModalScreen[Any]], *, theme: str = DARK.name) -> None:
        super().__init__()
        self.animation_level = "none"
        self.make = make
        self.results: list[Any] = []
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = theme

    def on_mount(self) -> None:
        self.push_screen(self.make(), self.results.append)


@asynccontextmanager
async def opened(
    make: Callable[[], ModalScreen[Any]], size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[DialogApp, Pilot[None]]]:
    """The dialog on a screen of this size, its first work done."""
    app = DialogApp(make)
    with quick_pilot():
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            yield app, pilot


@contextmanager
def quick_pilot() -> Iterator[None]:
    """The pilot waits 20 ms at every step to see whether the process is idle; 4 ms show it as well."""
    with mock.patch.multiple(_wait, SLEEP_GRANULARITY=0.004, SLEEP_IDLE=0.0004):
        yield


async def settled(pilot: Pilot[None]) -> None:
    """Wait for workers and for what they make the screen do."""
    await pilot.pause()
    while any(not worker.is_finished for worker in pilot.app.workers):
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def screen_lines(app: App[None]) -> list[str]:
    """What the terminal shows, line by line."""
    return [strip.text for strip in app.screen._compositor.render_strips(app.size)]


def screen_text(app: App[None]) -> str:
    """All of it."""
    return "\n".join(screen_lines(app))
