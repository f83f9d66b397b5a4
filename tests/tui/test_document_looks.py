"""How documents and sources look, against pictures that a person has seen and found good.

After a wanted change: `pytest tests/tui/test_document_looks.py --snapshot-update`, and look at the new SVG files.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from textual.pilot import Pilot

from edgeai.documents.types import Block, Document
from edgeai.history import History
from edgeai.response import Response
from tests.tui.chat_app import Chat
from tests.tui.dialogs import DialogApp
from tests.tui.documented import RESET, citation_of, prepared_models
from tests.tui.test_looks import still
from tui.app import EdgeAIApp
from tui.chat_documents import ChatDocument
from tui.screens.document_list import DocumentList
from tui.screens.password import PasswordScreen
from tui.themes import DARK, LIGHT

Compare = Callable[..., bool]

ANSWER = "Hold the **red key** for five seconds [manual.pdf p. 12]. 電源を切る [規則.md l. 5].\n"
CITATIONS = (
    citation_of(Path("/home/me/manual.pdf"), page=12, line=None),
    citation_of(Path("/home/me/規則.md"), "電源を切る"),
)


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _self: SimpleNamespace(rss=321_000_000))
    monkeypatch.setattr(Response, "citations", property(lambda _self: CITATIONS))


def documents() -> list[ChatDocument]:
    """One of each kind of state."""
    manual = Document(Path("/home/me/manual.pdf"), "pdf", "Manual", "a" * 64, (Block("x"),), n_pages=80)
    rules = Document(Path("/home/me/規則.md"), "markdown", "Rules", "b" * 64, (Block("x"),))
    return [
        ChatDocument(manual.path, document=manual, state="cached", n_tokens=41_300),
        ChatDocument(rules.path, document=rules, state="read", n_tokens=900),
        ChatDocument(Path("/media/[b]stick[/b]/figures.xlsx"), state="missing"),
        ChatDocument(Path("/home/me/long name of a presentation.pptx"), n_done=3, n_total=40),
    ]


def compare(
    snap_compare: Compare, prepare: Callable[[Chat], Awaitable[None]], size: tuple[int, int], theme: str
) -> bool:
    """Show an answer with sources on a fake model, prepare what is to be seen, and compare."""
    models, _ = prepared_models(ANSWER)
    with History() as history:
        app = EdgeAIApp(models, history, theme=theme)

        async def run(pilot: Pilot[None]) -> None:
            chat = Chat(app, pilot, models)
            await chat.until(lambda: chat.screen.query("StatusBar"))
            await chat.until(lambda: chat.screen.status.n_ctx)
            chat.screen.prompt.cursor_blink = False
            chat.screen.status.memory_bytes = 321_000_000
            await chat.ask("How do I reset it?")
            chat.screen.chat.documents[:] = documents()
            chat.screen.show_documents()
            await prepare(chat)
            await pilot.pause()

        return snap_compare(app, terminal_size=size, run_before=run)


def test_documents_and_sources_on_a_small_terminal(snap_compare: Compare) -> None:
    async def prepare(chat: Chat) -> None:
        await chat.pilot.pause()

    assert compare(snap_compare, prepare, (80, 24), DARK.name)


@pytest.mark.parametrize(("size", "theme"), [((200, 60), LIGHT.name), ((80, 24), DARK.name)])
def test_an_open_source(size: tuple[int, int], theme: str, snap_compare: Compare) -> None:
    async def prepare(chat: Chat) -> None:
        await chat.press("f4")
        await chat.until(lambda: chat.screen.has_class("-source"))
        await chat.pilot.pause()
        assert RESET in chat.blocks[1].sources[0].quote
        await chat.app.workers.wait_for_complete()

    assert compare(snap_compare, prepare, size, theme)


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name])
def test_the_list_of_documents(theme: str, snap_compare: Compare) -> None:
    assert snap_compare(DialogApp(lambda: DocumentList(documents()), theme=theme), run_before=still)


def test_a_wrong_password(snap_compare: Compare) -> None:
    app = DialogApp(lambda: PasswordScreen("[b]secret[/b].pdf", again=True))
    assert snap_compare(app, run_before=still)
