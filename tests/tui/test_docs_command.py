"""`edgeai docs`, run as a person runs it, on real small files."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgeai.documents import library_lock
from edgeai.documents.library import Library
from edgeai.documents.library_lock import writer_lock
from edgeai.documents.library_place import library_dir
from edgeai.documents.read import read_document
from edgeai.documents.types import Document
from tests.documents.pdf_files import pdf
from tui import docs_reading
from tui.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of documents, which is the current one."""
    monkeypatch.chdir(made(tmp_path / "docs"))
    return tmp_path / "docs"


def made(folder: Path) -> Path:
    """Write two documents into a folder and one below it."""
    (folder / "sub").mkdir(parents=True)
    (folder / "pump.md").write_text("# Pump\n\n## Repair\n\nSwitch off the pump before it is opened. 電源を切る。\n")
    (folder / "sub" / "cake.txt").write_text("Bake the cake for forty minutes.\n")
    return folder


def run(capsys: Capture, *args: str, code: int = 0) -> tuple[str, str]:
    assert main(["docs", *args]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def from_json(capsys: Capture, *args: str, code: int = 0) -> Any:
    return json.loads(run(capsys, *args, "--json", code=code)[0])


def held(capsys: Capture, *args: str) -> list[str]:
    return [Path(document["path"]).name for document in from_json(capsys, "list", *args)["documents"]]


def test_what_is_added_is_listed_found_and_counted(folder: Path, capsys: Capture) -> None:
    out, _ = run(capsys, "add", ".")
    assert "library default: 2 added; 2 passages in" in out
    out, _ = run(capsys, "list")
    assert "pump.md" in out
    assert "markdown" in out
    assert "2 documents in library default" in out
    assert str(folder) not in out.splitlines()[1], "names are those that can be typed here"
    facts = from_json(capsys, "stats")
    texts = [hit["text"] for hit in from_json(capsys, "search", "-n", "9", "pump cake")["hits"]]
    assert facts["n_documents"] == facts["n_passages"] == len(texts) == 2
    assert facts["n_chars"] == sum(map(len, texts))
    assert facts["text_bytes"] == sum(len(text.encode()) for text in texts)
    assert "× the text" in run(capsys, "stats")[0]


def test_a_hit_says_where_it_stands(folder: Path, capsys: Capture) -> None:
    (folder / "manual.pdf").write_bytes(pdf([["Nothing here"], ["The reset button is red"], []]))
    _, err = run(capsys, "add", ".")
    assert "1 page of 3 are pictures without text" in err
    out, _ = run(capsys, "search", "where is the reset button")
    assert out.splitlines()[0].startswith("manual.pdf p. ")
    assert "reset button is red" in out
    out, err = run(capsys, "search", "電源")
    assert "pump.md l. " in out
    assert "Pump › Repair" in out
    assert "\x1b" not in out
    (hit,) = from_json(capsys, "search", "--words", "red")["hits"]
    assert hit["document"] == str(folder / "manual.pdf")
    assert (hit["first_page"], hit["ranks"]) in ((1, {"words": 1}), (2, {"words": 1}))


def test_nothing_found_is_a_failure_as_with_grep(folder: Path, capsys: Capture) -> None:
    run(capsys, "add", ".")
    out, err = run(capsys, "search", "zebra", code=1)
    assert out == ""
    assert "Nothing found" in err
    assert from_json(capsys, "search", "zebra", code=1)["hits"] == []


def test_an_update_reads_what_changed_and_finds_what_is_new(folder: Path, capsys: Capture) -> None:
    run(capsys, "add", ".")
    (folder / "sub" / "new.txt").write_text("A zebra.")
    (folder / "pump.md").write_text("The pump is gone, and much else with it.")
    (folder / "sub" / "cake.txt").unlink()
    facts = from_json(capsys, "update")
    assert [list(map(os.path.basename, facts[name])) for name in ("added", "changed", "removed")] == [
        ["new.txt"],
        ["pump.md"],
        ["cake.txt"],
    ]
    facts = from_json(capsys, "update")
    assert (facts["unchanged"], facts["added"], facts["changed"], facts["passages"]) == (2, [], [], 0)


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(folder: Path, capsys: Capture) -> None:
    (folder / "locked.pdf").write_bytes(pdf([["text"]], password="secret"))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (folder / "sub" / "empty.txt").touch()
    out, err = run(capsys, "add", ".", "missing.txt", code=1)
    assert len(err.splitlines()) == 3
    for name, words in (("locked.pdf", "--password"), ("broken.pdf", "damaged"), ("missing.txt", "no such file")):
        assert [name in line and words in line for line in err.splitlines()].count(True) == 1, err
    assert "2 added, 3 failed, 1 empty file left out" in out
    out, _ = run(capsys, "add", "--password", "secret", "locked.pdf")
    assert "1 added" in out
    out, err = run(capsys, "add", "sub/empty.txt", code=1)
    assert "empty (0 bytes)" in err
    (folder / "void").mkdir()
    (folder / "void" / "a.txt").touch()
    assert "void: 1 empty file and nothing else" in run(capsys, "add", "void", code=1)[1]
    assert from_json(capsys, "add", "missing.txt", code=1)["failed"][0].startswith("missing.txt: no such file")


def test_names_cannot_steer_the_terminal(folder: Path, capsys: Capture) -> None:
    name = "a\n\x1b[2J\u202e😀.md"
    (folder / name).write_text("# Title \u202e\n\nzebra \x9b red")
    (folder / os.fsdecode(b"\xff.txt")).write_text("zebra")
    run(capsys, "add", ".")
    for command in (["list"], ["list", "--json"], ["search", "zebra"], ["search", "zebra", "--json"], ["stats"]):
        out, err = run(capsys, *command)
        assert not [char for char in out + err if not char.isprintable() and char != "\n"], command
    assert name in held(capsys)


def test_removed_documents_stay_away_until_they_are_added(folder: Path, capsys: Capture) -> None:
    run(capsys, "add", ".")
    assert "1 document removed" in run(capsys, "remove", "sub")[0]
    run(capsys, "update")
    assert held(capsys) == ["pump.md"]
    out, err = run(capsys, "remove", "pump.md", "unknown.txt", code=1)
    assert "1 document removed" in out
    assert "unknown.txt: not in library default" in err
    run(capsys, "add", "sub/cake.txt")
    run(capsys, "update")
    assert held(capsys) == ["cake.txt"]


def test_libraries_have_names(folder: Path, capsys: Capture) -> None:
    run(capsys, "add", "-l", "kitchen", "sub")
    run(capsys, "add", "pump.md")
    assert held(capsys, "--library", "kitchen") == ["cake.txt"]
    listed = from_json(capsys, "list", "--all")
    assert listed == [
        {"library": "default", "documents": 1, "passages": 1},
        {"library": "kitchen", "documents": 1, "passages": 1},
    ]
    _, err = run(capsys, "list", "-l", "../x", code=1)
    assert "expected a name" in err


@pytest.mark.parametrize("command", [["search", "x"], ["list"], ["stats"], ["update"], ["embed"], ["remove", "x"]])
def test_without_a_library_each_says_how_to_make_one(command: list[str], capsys: Capture, home: Path) -> None:
    _, err = run(capsys, *command, code=1)
    assert err.count("\n") == 1
    assert "`edgeai docs add PATH`" in err
    assert not home.exists()


def test_a_failed_add_makes_no_library(folder: Path, capsys: Capture, home: Path) -> None:
    run(capsys, "add", "missing.txt", code=1)
    assert not home.exists()


def test_a_library_without_documents_is_gone(folder: Path, capsys: Capture) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    run(capsys, "add", "broken.pdf", code=1)
    assert from_json(capsys, "list", "--all") == []
    run(capsys, "add", "pump.md", "sub")
    assert "the library" not in run(capsys, "remove", "sub")[0]
    run(capsys, "add", "broken.pdf", code=1)
    assert held(capsys) == ["pump.md"]
    assert "1 document removed, the library with it" in run(capsys, "remove", "pump.md")[0]
    assert not library_dir().exists()


@pytest.mark.parametrize(("command", "then_held"), [("add .", 3), ("update", 0), ("remove pump.md", 0)])
def test_who_writes_second_waits_and_says_so_once(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str, then_held: int
) -> None:
    run(capsys, "add", "pump.md")
    (folder / "nothing-new.md").write_text("Nothing new.")
    if command == "update":
        (folder / "pump.md").unlink()
    wait, seen = library_lock.wait_until_free, list[tuple[int, list[Any]]]()
    with ExitStack() as other:
        other.enter_context(writer_lock(library_dir()))

        def waiting(path: Path) -> None:
            main(["docs", "search", "switch off"])
            with Library.open(path) as library:
                seen.append((len(library.documents()), library.roots()))
            other.close()
            wait(path)

        monkeypatch.setattr(library_lock, "wait_until_free", waiting)
        out, err = run(capsys, *command.split())
    assert seen == [(1, [])], "searching goes on, and nothing was written"
    assert "pump.md" in out
    assert err.count("waiting: another process is writing into library default") == 1
    assert (len(held(capsys)) if library_dir().exists() else 0) == then_held


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("command", ["add .", "update", "remove pump.md"])
def test_ctrl_c_ends_the_wait(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    run(capsys, "add", "pump.md")
    (folder / "pump.md").write_text("something else")
    wait = library_lock.wait_until_free

    def interrupted(path: Path) -> None:
        signal.raise_signal(signal.SIGINT)
        wait(path)

    monkeypatch.setattr(library_lock, "wait_until_free", interrupted)
    with writer_lock(library_dir()):
        run(capsys, *command.split(), code=130)
    assert from_json(capsys, "search", "--words", "switch off")["hits"]
    assert from_json(capsys, "list")["remembered"] == []


def test_a_library_that_is_damaged_is_one_line(folder: Path, capsys: Capture) -> None:
    run(capsys, "add", "pump.md")
    (library_dir() / "library.sqlite").write_bytes(b"nonsense" * 999)
    for command in (["list"], ["search", "x"], ["add", "."], ["stats"]):
        _, err = run(capsys, *command, code=1)
        assert err.count("\n") == 1
        assert "damaged" in err


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_keeps_what_was_read(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    first_is_taken, progress = threading.Event(), docs_reading.FileReader.progress

    def told(self: docs_reading.FileReader, n_done: int, n_total: int) -> None:
        progress(self, n_done, n_total)
        if n_done:
            first_is_taken.set()

    def read(path: Path, **options: Any) -> Document:
        if path.name == "cake.txt":
            assert first_is_taken.wait(20)
            signal.raise_signal(signal.SIGINT)
        return read_document(path, **options)

    monkeypatch.setattr(docs_reading, "read_document", read)
    monkeypatch.setattr(docs_reading.FileReader, "progress", told)
    _, err = run(capsys, "add", ".", code=130)
    assert "stopped: 1 file read and kept" in err
    assert held(capsys) == ["pump.md"]
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGEAI_HOME", str(folder.parent / "home"))
    assert "1 added" in run(capsys, "update")[0]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_ctrl_c_waits_for_what_is_being_stored(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Library._write

    def interrupted(self: Library, *args: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        write(self, *args)

    monkeypatch.setattr(Library, "_write", interrupted)
    run(capsys, "add", ".")
    assert len(held(capsys)) == 2


@pytest.mark.parametrize("command", ["add", "list", "search", "remove", "update", "stats", "embed"])
def test_each_help_has_an_example(command: str, capsys: Capture) -> None:
    assert f"edgeai docs {command} " in run(capsys, command, "--help")[0]


@pytest.fixture(autouse=True)
def _own_handler() -> Iterator[None]:
    """Ctrl-C is handled as before once a command is over."""
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


def test_an_empty_search_is_wrong_usage(folder: Path, capsys: Capture) -> None:
    run(capsys, "add", ".")
    assert "Nothing is searched for" in run(capsys, "search", " ", code=2)[1]
