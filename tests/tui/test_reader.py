"""The thread that reads documents."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message as Event

from edgeai.documents.read import read_document
from edgeai.documents.types import Block, Document
from edgeai.errors import DocumentError
from tests.documents.pdf_files import pdf
from tui.reader import DocumentNotRead, DocumentRead, DocumentReading, Reader

OnProgress = Callable[[int, int], None]


@pytest.fixture
def events() -> queue.Queue[Event]:
    return queue.Queue()


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    path = tmp_path / "manual.md"
    path.write_text("# Manual\n\nPress the red key.\n")
    return path


def ended(events: queue.Queue[Event]) -> Event:
    while isinstance(event := events.get(timeout=60), DocumentReading):
        pass
    return event


def test_a_file_is_read_and_kept_until_it_changes(
    manual: Path, events: queue.Queue[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[Path] = []

    def counted(path: Path, *, on_progress: OnProgress, **options: Any) -> Document:
        times.append(path)
        return read_document(path, on_progress=on_progress, **options)

    monkeypatch.setattr("tui.reader.read_document", counted)
    one = Reader(events.put)
    for _ in range(2):
        job = one.read(manual)
        event = ended(events)
        assert isinstance(event, DocumentRead)
        assert event.job is job
        assert [block.text for block in event.document.blocks] == ["Manual", "Press the red key."]
    assert len(times) == 1
    manual.write_text("Something longer than before, and other.")
    one.read(manual)
    event = ended(events)
    assert isinstance(event, DocumentRead)
    assert event.document.blocks[0].text.startswith("Something")


def test_what_was_read_before_is_not_read_again(manual: Path, events: queue.Queue[Event]) -> None:
    document = Document(manual, "markdown", "x", "0" * 64, (Block("given"),))
    Reader(events.put, [document]).read(manual)
    event = ended(events)
    assert isinstance(event, DocumentRead)
    assert event.document is document


def test_what_is_kept_is_bounded_by_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.reader._KEPT_CHARS", 1000)
    sizes = {"a": 400, "b": 100, "c": 600, "d": 300, "huge": 1001}
    kept: dict[tuple[str, ...], list[str]] = {
        ("a", "b"): ["a", "b"],
        ("a", "b", "c"): ["b", "c"],
        ("a", "b", "c", "d"): ["b", "c", "d"],
        ("a", "b", "a", "c"): ["a", "c"],
        ("a", "huge"): [],
        ("huge", "a"): ["a"],
    }
    for names, expected in kept.items():
        documents = [Document(tmp_path / name, "text", name, "0" * 64, (Block("x" * sizes[name]),)) for name in names]
        assert [path.name for path in Reader(print, documents)._kept] == expected


def test_an_error_is_told_and_the_next_one_is_read(manual: Path, events: queue.Queue[Event], tmp_path: Path) -> None:
    one = Reader(events.put)
    one.read(tmp_path / "expected its password.pdf")  # words of a name ask for nothing
    one.read(manual)
    event = ended(events)
    assert isinstance(event, DocumentNotRead)
    assert "no such file" in str(event.error)
    assert not event.error.needs_password
    assert isinstance(ended(events), DocumentRead)


def test_cancelling_stops_at_the_next_page(
    manual: Path, events: queue.Queue[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    on, n_read = threading.Event(), 0

    def slow(_path: Path, on_progress: OnProgress, **_more: object) -> Document:
        nonlocal n_read
        for page in range(1000):
            on_progress(page, 1000)
            n_read = page
            on.wait(60)
        raise AssertionError("read to its end")

    monkeypatch.setattr("tui.reader.read_document", slow)
    one = Reader(events.put)
    first, second = one.read(manual), one.read(manual)
    assert isinstance(events.get(timeout=60), DocumentReading)
    first.cancel()
    second.cancel()
    on.set()
    monkeypatch.undo()
    one.read(manual)
    assert isinstance(ended(events), DocumentRead)
    assert n_read < 2


def test_a_fault_of_ours_is_an_error_too(
    manual: Path, events: queue.Queue[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path, **_more: object) -> Document:
        raise OverflowError("from a library")

    monkeypatch.setattr("tui.reader.read_document", broken)
    Reader(events.put).read(manual)
    event = ended(events)
    assert isinstance(event, DocumentNotRead)
    assert isinstance(event.error, DocumentError)
    assert "OverflowError: from a library" in str(event.error)


def test_an_encrypted_pdf_asks_for_its_password(events: queue.Queue[Event], tmp_path: Path) -> None:
    path = tmp_path / "secret.pdf"
    path.write_bytes(pdf([["Secret words"]], password="key"))
    one = Reader(events.put)
    for password in (None, "other"):
        one.read(path, password)
        event = ended(events)
        assert isinstance(event, DocumentNotRead)
        assert event.error.needs_password
    one.read(path, "key")
    event = ended(events)
    assert isinstance(event, DocumentRead)
    assert event.document.blocks[0].text == "Secret words"
