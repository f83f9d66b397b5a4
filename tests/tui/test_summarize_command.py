"""`edgeai summarize`, run as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeai.backends.base import Event, GenerateRequest
from edgeai.notes.fixed_words import ENGLISH
from edgeai.notes.journal import jobs_dir
from edgeai.notes.steps import StepProgress
from tests.documents.pdf_files import pdf
from tests.notes.readers import MarkReader, marks
from tests.tui.terminal import FakeModels
from tui.cli import main
from tui.notes_job import progress_text, time_text

Capture = pytest.CaptureFixture[str]


class Interrupted(MarkReader):
    """Whoever waits presses Ctrl-C when the third question comes."""

    def generate(self, request: GenerateRequest) -> Iterator[Event]:
        if len(self.asked) == 2:
            time.sleep(0.2)  # until the command waits for this answer
            os.kill(os.getpid(), signal.SIGINT)
        yield from super().generate(request)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    return FakeModels(monkeypatch, MarkReader())


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    path = tmp_path / "manual.md"
    chapters = (f"## Chapter {number}\n\nM{number:03} " + "filler " * 60 for number in range(5))
    path.write_text("# Manual\n\n" + "\n\n".join(chapters), encoding="utf-8")
    return path


def test_it_is_printed_part_by_part_and_the_whole_at_the_end(models: FakeModels, manual: Path, capsys: Capture) -> None:
    assert main(["summarize", str(manual)]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "# Manual (manual.md)"
    headings = [line for line in lines if line.startswith("##")]
    assert headings == [*(f"## Chapter {number}" for number in range(5)), "## In short"]
    assert marks(captured.out.split("## In short")[1]) == [f"M{number:03}" for number in range(5)]
    assert "[manual.md l. 1-" in captured.out
    assert "\n\n\n" not in captured.out
    (plan,) = captured.err.splitlines()
    assert plan.startswith("plan: 6 steps, ")
    assert " tokens to read, at most " in plan


def test_a_file_has_the_whole_at_its_beginning(models: FakeModels, manual: Path, capsys: Capture) -> None:
    out = manual.with_name("notes.md")
    assert main(["summarize", str(manual), "-o", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert marks(text.split("## ")[0]) == [f"M{number:03}" for number in range(5)]
    assert not out.with_name("notes.md.part").exists()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(f"done: {out}: ")


def test_the_pages_of_a_pdf_stand_at_each_part(models: FakeModels, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "press.pdf"
    lines = [f"M{number:03} filler filler filler filler filler filler." for number in range(40)]
    pages = [["Safety", "", *lines[:10]], lines[10:20], ["Upkeep", "", *lines[20:30]], lines[30:]]
    path.write_bytes(pdf(pages, outline=[("Safety", 1), ("Upkeep", 3)]))
    assert main(["summarize", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(part["heading"], part["places"]) for part in found["parts"]] == [
        ("Safety", ["press.pdf p. 1-2"]),
        ("Upkeep", ["press.pdf p. 3-4"]),
    ]
    assert found["places"] == ["press.pdf p. 1-4"]
    assert [marks(part["text"]) for part in found["parts"]] == [
        marks(" ".join(lines[:20])),
        marks(" ".join(lines[20:])),
    ]


def test_as_json(models: FakeModels, manual: Path, capsys: Capture) -> None:
    assert main(["summarize", str(manual), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [part["heading"] for part in found["parts"]] == [f"Chapter {number}" for number in range(5)]
    assert all(part["places"][0].startswith("manual.md l. ") for part in found["parts"])


@pytest.mark.parametrize(
    ("more", "heading", "part"),
    [([], "## 要点", "## 第1部（全"), (["--language", "English"], "## In short", "## Part 1 of ")],
)
def test_what_notes_say_themselves_is_in_their_language(
    more: list[str], heading: str, part: str, models: FakeModels, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "規則.txt"
    path.write_text(
        "\n\n".join(f"M{number:03} ポンプはタンクが空になると自動的に止まります。" * 9 for number in range(40))
    )
    assert main(["summarize", str(path), *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert heading in lines
    assert any(line.startswith(part) for line in lines)


def test_a_dry_run_does_nothing(models: FakeModels, manual: Path, capsys: Capture) -> None:
    out = manual.with_name("notes.md")
    assert main(["summarize", str(manual), "-o", str(out), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    backend = models.backend
    assert isinstance(backend, MarkReader)
    assert backend.asked == []
    assert sorted(path.name for path in manual.parent.iterdir() if path.is_file()) == ["manual.md"]
    assert main(["summarize", str(manual)]) == 0
    assert plan["n_steps"] == len(backend.asked)
    assert not list(jobs_dir().iterdir())


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, manual: Path, capsys: Capture
) -> None:
    out = manual.with_name("notes.md")
    command = ["summarize", str(manual), "-o", str(out)]
    FakeModels(monkeypatch, Interrupted())
    assert main(command) == 130
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the same command goes on" in last
    assert str(out) + ".part" in last
    assert not out.exists()
    assert out.with_name("notes.md.part").read_text(encoding="utf-8").endswith(ENGLISH.unfinished + "\n")
    second = MarkReader()
    FakeModels(monkeypatch, second)
    assert main(command) == 0
    assert "goes on with earlier work: 2 of 6 steps are done" in capsys.readouterr().err
    assert len(second.asked) == 4
    assert out.exists()


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(models: FakeModels, manual: Path, capsys: Capture) -> None:
    bad = manual.with_name("bad.pdf")
    bad.write_bytes(b"%PDF-1.7 and no more")
    empty = manual.with_name("blank.txt")
    empty.write_text(" \n\n ")
    assert main(["summarize", "/no/such.txt", str(bad), str(empty), str(manual)]) == 1
    captured = capsys.readouterr()
    assert "## Chapter 4" in captured.out
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert [line.split(":")[1].strip() for line in errors] == ["/no/such.txt", str(bad), str(empty)]
    assert captured.err.splitlines()[-1] == "note: 3 of 4 documents could not be read and are not in it"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["/no/such.txt"], 1, "no such file"),
        ([], 2, "Missing argument"),
        (["MANUAL", "--words", "3"], 2, "Invalid value for '--words'"),
        (["MANUAL", "--language", "x" * 50], 2, "--language: 50 characters: expected 1 to 40"),
        (["MANUAL", "--prompt", " "], 2, "--prompt: 0 characters"),
        (["MANUAL", "-o", "MANUAL"], 1, "one of the documents"),
        (["MANUAL", "-o", "/no/such/folder/n.md"], 1, "no such folder"),
    ],
)
def test_bad_input(models: FakeModels, manual: Path, capsys: Capture, args: list[str], code: int, words: str) -> None:
    assert main(["summarize", *(str(manual) if word == "MANUAL" else word for word in args)]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""
    assert models.opened == []


def test_wishes_reach_the_model(models: FakeModels, manual: Path) -> None:
    more = ["--language", "Japanese", "--prompt", "Dates matter.", "--words", "60", "--temperature", "0.5"]
    assert main(["summarize", str(manual), *more]) == 0
    prompts = [prompt for prompt in models.prompts if "<document" in prompt]
    assert prompts
    assert all("Write in Japanese." in prompt and "Dates matter." in prompt for prompt in prompts)
    assert models.backend.requests[-1].sampling.temperature == 0.5


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1 s"), (89, "89 s"), (90, "2 min"), (5340, "89 min"), (5400, "1 h 30 min")]
)
def test_times(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_the_line_of_progress_fits_80_columns() -> None:
    from rich.cells import cell_len

    for what in ("Short", "電源の入れ方" * 20, "x" * 300, "a\nb\x1b[2J"):
        text = progress_text(StepProgress(12, 3456, what, "reading", 0.5, 360_000))
        assert cell_len(text) < 80
        assert "\n" not in text
        assert "\x1b" not in text
        assert text.endswith("reading 50% · 100 h 00 min left")


@pytest.mark.weights
def test_the_real_model_writes_something_of_its_own(real_model: Path, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "pump.txt"
    path.write_text("The pump moves water from the tank to the roof. It stops by itself when the tank is empty. " * 3)
    out = tmp_path / "notes.md"
    command = ["summarize", "-m", str(real_model), "--n-ctx", "1024", "--words", "30", str(path), "-o", str(out)]
    assert main([*command, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["n_steps"] == 1
    assert plan["seconds"] > 0
    assert main(command) == 0
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# pump.txt\n\n")
    assert text.rstrip().endswith("[pump.txt l. 1]")
    assert "pump" in text.split("\n\n")[1].lower()
