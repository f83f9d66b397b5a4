"""Documents of a conversation, prepared in the background: when it is done, given up, waited for, done again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from edgeai.documents.library import Library
from edgeai.documents.read import read_document
from edgeai.session import Session
from tests.documents.pdf_files import pdf
from tests.tui.chat_app import Models, running_chat
from tests.tui.documented import RESET, bar, manual_in, names, prepared_models, read_slowly, settled_documents
from tui.document_refs import refs_of
from tui.settings import ConversationSettings


@pytest.fixture
def slow_reading(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    return read_slowly(monkeypatch)


async def test_nothing_is_evaluated_for_a_conversation_that_is_only_looked_at(tmp_path: Path) -> None:
    manual_in(tmp_path)
    models, backend = prepared_models("one")
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc manual.md")
        await chat.ask("How?")
        conversation_id = chat.screen.chat.id
    backend._cached = []
    backend.gate.clear()  # an answer would be waited for
    async with running_chat(models, folder=tmp_path, conversation_id=conversation_id) as chat:
        await chat.until(lambda: names(chat) == ["manual.md"])
        await settled_documents(chat)
        assert not bar(chat).endswith("ready")
        assert chat.screen.status.activity == "ready"
        backend.gate.set()


async def test_a_message_waits_for_what_is_being_read(tmp_path: Path, slow_reading: threading.Event) -> None:
    (tmp_path / "manual.pdf").write_bytes(pdf([["Hold the red key."]]))
    models, backend = prepared_models("one")
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc manual.pdf")
        await chat.until(lambda: chat.screen.status.activity == "reading manual.pdf: 12 of 80 pages")
        chat.screen.prompt.write("How?")
        await chat.press("enter")
        await chat.pilot.pause(0.1)
        assert chat.screen.live is None
        assert chat.screen.prompt.text == "How?"
        slow_reading.set()
        await chat.until(lambda: chat.texts[-1:] == ["one"])
        await chat.answered()
        assert "Hold the red key." in backend.prompt()


async def test_a_question_stops_the_preparation(tmp_path: Path) -> None:
    manual_in(tmp_path)
    models, backend = prepared_models("one")
    backend.gate.clear()
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc manual.md")
        await chat.until(lambda: backend.preparations)
        assert chat.screen.status.activity.startswith("evaluating the document")
        await chat.send("How?")
        backend.gate.set()
        await chat.answered()
        assert chat.texts[-1] == "one"


async def test_escape_stops_the_preparation(tmp_path: Path) -> None:
    manual_in(tmp_path)
    models, backend = prepared_models()
    backend.gate.clear()
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc manual.md")
        await chat.until(lambda: backend.preparations)
        await chat.press("escape")
        await chat.until(lambda: chat.screen.status.activity == "ready")
        assert names(chat) == ["manual.md"]
        backend.gate.set()


async def test_documents_wait_for_the_model_that_is_being_loaded(tmp_path: Path) -> None:
    manual_in(tmp_path)
    models, backend = prepared_models()
    models.is_open = False
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc manual.md")
        await chat.until(lambda: chat.screen.read_documents)
        models.is_open = True
        await chat.until(lambda: chat.screen.status.activity.startswith("document ready"))
        assert backend.preparations


async def test_another_model_and_another_system_prompt_read_them_anew(tmp_path: Path) -> None:
    manual_in(tmp_path)
    models, backend = prepared_models()
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc manual.md")
        await chat.until(lambda: chat.screen.status.activity.startswith("document ready"))
        backend._cached = []
        backend.gate.clear()  # nothing is evaluated before it is asked for
        chat.app.engine.load("other")
        await chat.until(lambda: len(models.opened) == 2 and len(backend.preparations) > 1)
        await settled_documents(chat)
        assert chat.screen.status.activity == "ready"
        backend.gate.set()
        await chat.ask("How?")
        assert chat.screen.status.activity.startswith("document ready")
        await chat.press("ctrl+s")
        await chat.until(lambda: chat.app.screen is not chat.screen)
        backend._cached = []
        backend.gate.clear()
        await chat.press(*"Brief", "ctrl+s")
        await chat.until(lambda: chat.screen.chat.settings.system == "Brief")
        await settled_documents(chat)
        assert chat.screen.status.activity == "ready"
        backend.gate.set()


async def test_what_does_not_fit_the_window_is_searched(tmp_path: Path) -> None:
    manual_in(tmp_path)
    text = "".join(f"## Part {n}\n\nThe number of part {n} is written on its back side.\n\n" for n in range(300))
    manual_in(tmp_path, "long.md", text)
    models, backend = prepared_models("one", "two")
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc long.md manual.md")
        await chat.until(lambda: len(chat.screen.read_documents) == 2)
        await settled_documents(chat)
        assert backend.preparations == []
        assert [item.state for item in chat.screen.chat.documents] == ["searched", "searched"]
        assert chat.screen.status.activity == "ready"
        await chat.send("/doc remove long.md")
        await chat.until(lambda: names(chat) == ["manual.md"])
        await settled_documents(chat)
        await chat.ask("How?")
        assert chat.screen.status.activity.startswith("document ready")


async def test_beside_a_library_everything_is_searched_and_nothing_is_called_ready(tmp_path: Path) -> None:
    manual_in(tmp_path)
    (tmp_path / "notes").mkdir()
    backend = prepared_models("one")[1]
    with Library.open(tmp_path / "pumps") as library:
        library.add(read_document(manual_in(tmp_path / "notes", "pump.md", "The pump stops when the tank is empty.")))

        class WithLibrary(Models):
            def __call__(self, model: str | None, **options: Any) -> Session:
                session = super().__call__(model, **options)
                session.documents = (library,)
                return session

        models = WithLibrary()
        models.backend = backend
        async with running_chat(models, folder=tmp_path, size=(120, 24)) as chat:
            assert bar(chat) == "▤ pumps library · searched"
            await chat.send("/doc manual.md")
            await chat.until(lambda: chat.screen.read_documents)
            await settled_documents(chat)
            for answers in (0, 1):
                assert bar(chat).startswith("▤ manual.md ")
                assert bar(chat).endswith("tokens · searched   ▤ pumps library · searched")
                assert chat.screen.status.activity == "ready"
                if not answers:
                    await chat.ask("Hold the red key for how long?")
            assert RESET in backend.prompt()
            assert backend.preparations == []


async def test_a_document_is_searched_once_the_conversation_leaves_no_room_for_it(tmp_path: Path) -> None:
    manual_in(tmp_path, text="# Manual\n\n" + "The number of each part is written on its back side. " * 50)
    models, backend = prepared_models("x" * 1500, "two", n_ctx=5120)
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc manual.md")
        await chat.until(lambda: bar(chat).endswith("· ready"))
        await chat.ask("Where is the number of each part written?")
        assert bar(chat).endswith("· ready")
        await chat.ask("Where is the number of each part written? " + "y" * 1000)
        assert len(backend.prompt()) < 5120
        assert bar(chat).endswith("· searched")
        assert chat.screen.status.activity == "ready"


async def test_what_is_left_when_a_document_is_removed_is_evaluated_at_once(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        manual_in(tmp_path, f"{name}.md", f"# Manual {name}\n\n" + f"The number of {name} is on its back side. " * 35)
    models, backend = prepared_models("yes")  # its window holds two of them
    async with running_chat(models, folder=tmp_path) as chat:
        await chat.send("/doc one.md two.md three.md")
        await chat.until(lambda: [item.state for item in chat.screen.chat.documents] == ["searched"] * 3)
        assert backend.preparations == []
        await chat.send("/doc remove one.md")
        await chat.until(lambda: [item.state for item in chat.screen.chat.documents] == ["evaluated"] * 2)
        (request,) = backend.preparations
        read = backend.detokenize(request.tokens)
        assert [f"# Manual {name}" in read for name in ("one", "two", "three")] == [False, True, True]
        await chat.send("/doc remove two.md")
        await chat.until(lambda: bar(chat).endswith("· ready"))
        assert len(backend.preparations) == 2
        await chat.ask("Where is the number?")
        assert "Manual three" in backend.prompt()


async def test_documents_that_a_new_chat_begins_with_are_evaluated_at_once(tmp_path: Path) -> None:
    refs = refs_of([read_document(manual_in(tmp_path))])
    models, backend = prepared_models()
    async with running_chat(
        models, folder=tmp_path, settings=ConversationSettings(documents=refs), n_unreadable=2
    ) as chat:
        await settled_documents(chat)
        await chat.until(lambda: "2 documents of --doc could not be read" in chat.notices)
        await chat.until(lambda: bar(chat).endswith("ready"))
        assert len(backend.preparations) == 1
