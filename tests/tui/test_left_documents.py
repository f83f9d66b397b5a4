"""A conversation is left while documents are read for it: they end up in it, or a line says that they do not."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edgeai.history import History
from tests.documents.pdf_files import pdf
from tests.tui.chat_app import Chat, running_chat
from tests.tui.documented import manual_in, names, prepared_models, read_slowly, settled_documents
from tui.app import EdgeAIApp


@pytest.fixture
def slow_reading(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    return read_slowly(monkeypatch)


def stored_names(chat: Chat, conversation_id: str | None) -> list[str]:
    """The documents that a conversation is stored with."""
    assert conversation_id is not None
    settings = json.loads(chat.history.get(conversation_id).settings)
    return [Path(ref["path"]).name for ref in settings.get("documents", [])]


async def begun(chat: Chat, text: str) -> str:
    """A new conversation with one answer; its id."""
    await chat.press("ctrl+n")
    await chat.ask(text)
    assert chat.screen.chat.id is not None
    return chat.screen.chat.id


async def reading(chat: Chat, path: str) -> None:
    await chat.send(f"/doc {path}")
    await chat.until(lambda: chat.screen.unread)


async def test_a_document_ends_up_where_it_was_added(tmp_path: Path, slow_reading: threading.Event) -> None:
    manual_in(tmp_path)
    models, _ = prepared_models("one", "two")
    async with running_chat(models, folder=tmp_path) as chat:
        first = await begun(chat, "First?")
        await reading(chat, "manual.md")
        second = await begun(chat, "Second?")
        assert names(chat) == []
        slow_reading.set()
        await chat.until(lambda: "manual.md is read, and a document of “First?”." in chat.toasts)
        assert (stored_names(chat, first), stored_names(chat, second)) == (["manual.md"], [])
        await chat.screen.open_conversation(first)
        await settled_documents(chat)
        assert names(chat) == ["manual.md"]


async def test_coming_back_meanwhile_finds_it_being_read(tmp_path: Path, slow_reading: threading.Event) -> None:
    manual_in(tmp_path)
    models, backend = prepared_models("one", "two")
    async with running_chat(models, folder=tmp_path) as chat:
        first = await begun(chat, "First?")
        await reading(chat, "manual.md")
        job = chat.screen.unread[0].job
        await begun(chat, "Second?")
        await chat.screen.open_conversation(first)
        assert [item.job for item in chat.screen.unread] == [job]
        slow_reading.set()
        await settled_documents(chat)
        assert names(chat) == stored_names(chat, first) == ["manual.md"]
        assert chat.screen.status.activity.startswith("document ready")
        assert len(backend.preparations) == 1


async def test_what_cannot_be_read_is_told_wherever_one_is(tmp_path: Path, slow_reading: threading.Event) -> None:
    (tmp_path / "secret.pdf").write_bytes(pdf([["Secret words."]], password="key"))
    models, _ = prepared_models("one", "two")
    async with running_chat(models, folder=tmp_path) as chat:
        first = await begun(chat, "First?")
        await reading(chat, "secret.pdf")
        await begun(chat, "Second?")
        slow_reading.set()
        await chat.until(lambda: "Not added to “First?”: " in chat.toasts)
        assert chat.app.screen is chat.screen  # it asks for no password of a conversation that is not shown
        assert stored_names(chat, first) == []
        await chat.screen.open_conversation(first)
        assert names(chat) == []


async def test_a_new_chat_keeps_its_documents_while_another_is_shown(tmp_path: Path) -> None:
    manual_in(tmp_path)
    models, backend = prepared_models("one", "two")
    async with running_chat(models, folder=tmp_path) as chat:
        first = await begun(chat, "First?")
        await chat.press("ctrl+n")
        await chat.send("/doc manual.md")
        await settled_documents(chat)
        chat.screen.prompt.write("What says it?")
        await chat.screen.open_conversation(first)
        assert names(chat) == []
        await chat.press("ctrl+n")
        await settled_documents(chat)
        assert names(chat) == ["manual.md"]
        assert chat.screen.prompt.text == "What says it?"
        await chat.press("enter")
        await chat.until(lambda: chat.texts[-1:] == ["two"])
        await chat.answered()
        assert "red key" in backend.prompt()
        assert stored_names(chat, chat.screen.chat.id) == ["manual.md"]


async def test_a_document_of_the_new_chat_is_read_while_another_is_shown(
    tmp_path: Path, slow_reading: threading.Event
) -> None:
    manual_in(tmp_path)
    async with running_chat(prepared_models("one")[0], folder=tmp_path) as chat:
        first = await begun(chat, "First?")
        await chat.press("ctrl+n")
        await reading(chat, "manual.md")
        await chat.screen.open_conversation(first)
        slow_reading.set()
        await chat.until(lambda: "manual.md is read, and a document of the new chat." in chat.toasts)
        await chat.press("ctrl+n")
        assert names(chat) == ["manual.md"]
        assert not chat.screen.unread


async def test_a_new_chat_instead_of_a_new_chat_says_what_it_leaves_out(
    tmp_path: Path, slow_reading: threading.Event
) -> None:
    manual_in(tmp_path)
    async with running_chat(prepared_models()[0], folder=tmp_path) as chat:
        await reading(chat, "manual.md")
        await chat.press("ctrl+n")
        assert names(chat) == []
        assert "Left out: manual.md." in chat.toasts
        slow_reading.set()
        await chat.pilot.pause(0.1)
        assert names(chat) == []


async def test_a_deleted_conversation_gets_none(tmp_path: Path, slow_reading: threading.Event) -> None:
    manual_in(tmp_path)
    async with running_chat(prepared_models("one")[0], folder=tmp_path) as chat:
        first = await begun(chat, "First?")
        await reading(chat, "manual.md")
        job = chat.screen.unread[0].job
        await chat.press("ctrl+l", "d")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        await chat.press("y")
        await chat.until(lambda: chat.screen.chat.id is None)
        await chat.until(lambda: job is not None and job.cancelled)
        slow_reading.set()
        await chat.pilot.pause(0.1)
        assert all(item.id != first for item in chat.history.conversations())
        assert "manual.md" not in chat.toasts


async def test_quitting_says_what_was_not_read_to_its_end(
    tmp_path: Path, slow_reading: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    manual_in(tmp_path, "[b]manual[b].md")
    async with running_chat(prepared_models()[0], folder=tmp_path) as chat:
        await reading(chat, "*.md")
        await chat.press("ctrl+q")
        slow_reading.set()
    assert capsys.readouterr().err.strip() == "Not read to its end, and not kept: [b]manual[b].md"


@asynccontextmanager
async def stored_chat(folder: Path, conversation_id: str | None = None) -> AsyncIterator[Chat]:
    """A chat whose conversations and drafts are on the disk."""
    models, _ = prepared_models("one")
    with History(folder / "history.db") as history:
        app = EdgeAIApp(models, history, folder=folder, conversation_id=conversation_id)
        async with app.run_test(size=(80, 24)) as pilot:
            chat = Chat(app, pilot, models)
            await chat.until(lambda: app.chat_screen.query("PromptEditor") and chat.screen.status.model_name)
            await settled_documents(chat)
            yield chat


async def test_the_documents_of_a_new_chat_come_back_after_quitting(tmp_path: Path) -> None:
    manual_in(tmp_path)
    async with stored_chat(tmp_path) as chat:
        other = chat.history.create().id
        await chat.send("/doc manual.md")
        await settled_documents(chat)
    async with stored_chat(tmp_path, other) as chat:
        await chat.until(lambda: chat.screen.chat.id == other)
        assert names(chat) == []
    async with stored_chat(tmp_path) as chat:
        assert names(chat) == ["manual.md"]
        await chat.ask("How is it reset?")
        assert stored_names(chat, chat.screen.chat.id) == ["manual.md"]
    async with stored_chat(tmp_path) as chat:
        assert names(chat) == []
