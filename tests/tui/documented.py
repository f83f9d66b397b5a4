"""Chats about documents, for tests: a model that answers preparations without using up its answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgeai.backends.base import Event, GenerateRequest
from edgeai.documents.read import read_document
from edgeai.documents.types import Citation, Document
from tests.fakes import FakeBackend
from tests.tui.chat_app import Chat, Models
from tui.widgets.document_bar import DocumentBar

RESET = "Hold the red key for five seconds."
MANUAL = f"# Manual\n\n## Reset\n\n{RESET} Then wait until the lamp is green.\n"


class PreparedBackend(FakeBackend):
    """One whose preparations (answers of one token) are counted.

    Attributes:
        preparations: the requests for them.
    """

    def __init__(self, n_ctx: int = 4096, n_ctx_train: int | None = None) -> None:
        super().__init__(n_ctx)
        self._info = replace(self._info, n_ctx_train=n_ctx_train or n_ctx)
        self.preparations: list[GenerateRequest] = []

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        if request.sampling.max_tokens == 1:
            self.preparations.append(request)
            self._answers.appendleft("x")
        yield from super().generate(request)

    def prompt(self, number: int = -1) -> str:
        """What the model read for a question."""
        asked = [request for request in self.requests if request not in self.preparations]
        return self.detokenize(asked[number].tokens)


def prepared_models(*answers: str, n_ctx: int = 4096) -> tuple[Models, PreparedBackend]:
    """Models, and the backend that they open."""
    models = Models()
    backend = PreparedBackend(n_ctx)
    models.backend = backend
    backend.enqueue(*answers)
    return models, backend


def manual_in(folder: Path, name: str = "manual.md", text: str = MANUAL) -> Path:
    """A document in a folder."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


async def settled_documents(chat: Chat) -> None:
    """Wait until documents are read and the model has done with them."""
    screen = chat.screen
    await chat.until(lambda: not screen.unread and screen.preparing is None)
    await chat.pilot.pause()


def citation_of(path: Path, quote: str = RESET, page: int | None = None, line: int | None = 5) -> Citation:
    """A citation, as an answer has it."""
    passage = f"Before it.\n\n{quote} Then wait until the lamp is green.\n\nAfter it."
    return Citation(path, quote, passage, 0, 0, ("Manual", "Reset"), page, line)


def names(chat: Chat) -> list[str]:
    """The documents of the shown conversation."""
    return [item.name for item in chat.screen.chat.documents]


def bar(chat: Chat) -> str:
    """What stands above the prompt."""
    return "   ".join(item.plain for item in chat.screen.query_one(DocumentBar).chips)


def read_slowly(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Reading tells of page 12 of 80 and waits until this is set."""
    on = threading.Event()

    def slow(path: Path, *, password: str | None, keep: bool, on_progress: Callable[[int, int], None]) -> Document:
        assert keep
        on_progress(12, 80)
        while not on.wait(0.01):
            on_progress(12, 80)
        return read_document(path, password=password)

    monkeypatch.setattr("tui.reader.read_document", slow)
    return on
