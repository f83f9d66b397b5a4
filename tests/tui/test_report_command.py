"""`edgeai report`, run as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeai.notes.journal import jobs_dir
from tests.notes.readers import MarkReader
from tests.tui.terminal import FakeModels
from tui.cli import main

Capture = pytest.CaptureFixture[str]
PUMP = "The pump stops by itself when the tank is empty. Press the red key for five seconds to start it again."
LAMP = "The lamp above the door burns green while the press may be opened. A broken lamp must be replaced at once."


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    return FakeModels(monkeypatch, MarkReader())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    made.mkdir()
    (made / "pump.md").write_text(f"# Pump\n\n{PUMP}\n", encoding="utf-8")
    (made / "lamp.md").write_text(f"# Lamp\n\n{LAMP}\n", encoding="utf-8")
    (tmp_path / "outline.md").write_text("# The press\n\n## The lamp\n\nWhen is it replaced?\n\n## Pump\n")
    return made


def test_a_report_by_an_outline(models: FakeModels, folder: Path, capsys: Capture) -> None:
    models.backend.enqueue(
        "p", "p", "A broken lamp must be replaced at once.", "The pump stops when the tank is empty."
    )
    assert main(["report", "--from", str(folder), "--outline", str(folder.parent / "outline.md")]) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "# The press\n\n"
        "## The lamp\n\nA broken lamp must be replaced at once [lamp.md l. 3].\n\nSources: [lamp.md l. 3]\n\n"
        "## Pump\n\nThe pump stops when the tank is empty [pump.md l. 3].\n\nSources: [pump.md l. 3]\n"
    )
    assert captured.err.startswith("plan: 2 steps, ")
    assert not list(jobs_dir().iterdir())


def test_json_quotes_what_supports_each_statement(models: FakeModels, folder: Path, capsys: Capture) -> None:
    models.backend.enqueue("p", "p", "A broken lamp must be replaced at once.", "Nothing of this stands there at all.")
    assert main(["report", "--from", str(folder), "--outline", str(folder.parent / "outline.md"), "--json"]) == 0
    lamp, pump = json.loads(capsys.readouterr().out)["parts"]
    (citation,) = lamp["citations"]
    assert citation["label"] == "lamp.md l. 3"
    assert citation["quote"] in LAMP
    assert lamp["text"][citation["start"] : citation["end"]] == citation["label"]
    assert pump["citations"] == []


def test_libraries_and_documents_together(models: FakeModels, folder: Path, capsys: Capture) -> None:
    assert main(["docs", "add", str(folder / "lamp.md")]) == 0
    models.backend.enqueue(
        "p", "p", "A broken lamp must be replaced at once.", "The pump stops when the tank is empty."
    )
    command = ["report", "--library", "default", "--outline", str(folder.parent / "outline.md")]
    capsys.readouterr()
    assert main([*command, "--from", str(folder / "pump.md")]) == 0
    both = capsys.readouterr().out
    assert "replaced at once [lamp.md l. 3]." in both
    assert "the tank is empty [pump.md l. 3]." in both
    models.backend.enqueue("p", "p", "A broken lamp must be replaced at once.")
    assert main(command) == 0
    alone = capsys.readouterr().out
    assert "replaced at once [lamp.md l. 3]." in alone
    assert alone.endswith("## Pump\n\nThe documents say nothing about this.\n")
    assert not list(jobs_dir().iterdir())


def test_a_librarys_documents_are_not_written_over(models: FakeModels, folder: Path, capsys: Capture) -> None:
    assert main(["docs", "add", str(folder)]) == 0
    command = ["report", "--library", "default", "--outline", "the press", "-o", str(folder / "lamp.md")]
    assert main(command) == 1
    assert "one of the documents" in capsys.readouterr().err
    assert LAMP in (folder / "lamp.md").read_text(encoding="utf-8")


def test_a_topic_and_a_file(models: FakeModels, folder: Path, capsys: Capture) -> None:
    models.backend.enqueue("p", "p", "The pump\nThe lamp\nThe tank\n")
    out = folder.parent / "report.md"
    assert main(["report", "--from", str(folder), "--outline", "the press", "-o", str(out)]) == 0
    headings = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert headings == ["# the press", "## The pump", "## The lamp", "## The tank"]


def test_a_dry_run(models: FakeModels, folder: Path, capsys: Capture) -> None:
    assert main(["report", "--from", str(folder), "--outline", "the press", "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("plan: ")
    assert not list(jobs_dir().iterdir())


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--outline", "x"], 2, "Missing option '--from'"),
        (["--from", "FOLDER"], 2, "Missing option '--outline'"),
        (["--library", "none", "--outline", "the press"], 1, "none"),
        (["--from", "FOLDER", "--outline", "missing.md"], 1, "missing.md: no such file"),
        (["--from", "FOLDER", "--outline", "FOLDER/empty.txt"], 1, "it is empty"),
        (["--from", "FOLDER", "--outline", "FOLDER/plain.txt"], 1, "expected an outline with Markdown headings"),
        (["--from", "FOLDER", "--outline", " "], 2, "--outline: 0 characters"),
        (["--from", "FOLDER", "--outline", ""], 2, "--outline: 0 characters"),
        (["--from", "FOLDER", "--outline", "x" * 5000], 2, "--outline: 5,000 characters"),
        (["--from", "/no/such", "--outline", "the press"], 1, "no such file or folder"),
    ],
)
def test_bad_input(models: FakeModels, folder: Path, capsys: Capture, args: list[str], code: int, words: str) -> None:
    (folder / "empty.txt").write_text("")
    (folder / "plain.txt").write_text("no heading here")
    assert main(["report", *(word.replace("FOLDER", str(folder)) for word in args)]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
    assert models.opened == []
