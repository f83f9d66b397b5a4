"""`edgeai ask --doc`, on a tiny model and real files."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from edgeai.documents.library import Library
from edgeai.documents.library_place import library_dir
from edgeai.documents.read import read_document
from edgeai.documents.types import Citation
from tests.tiny import tiny_model
from tests.tui.terminal import pipe_in
from tui.answer_report import print_sources
from tui.cli import main
from tui.documents import window_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    pipe_in(monkeypatch, b"")
    model = tiny_model(tmp_path / "a.gguf", n_ctx_train=8192)
    return ["ask", "-m", str(model), "--isolation", "none", "--threads", "1", "--temperature", "0", "--max-tokens", "3"]


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    path = tmp_path / "manual.md"
    path.write_text("# Manual\n\n" + "Press the red key for five seconds.\n" * 20, encoding="utf-8")
    return path


def stats(capsys: Capture) -> dict[str, float]:
    return dict(json.loads(capsys.readouterr().err.strip().splitlines()[-1]))


def test_the_second_question_finds_it_evaluated(ask: list[str], manual: Path, capsys: Capture) -> None:
    assert main([*ask, "--stats", "--doc", str(manual), "How?"]) == 0
    first = stats(capsys)
    assert first["cached_tokens"] == 0
    assert main([*ask, "--stats", "--doc", str(manual), "And what else?"]) == 0
    assert stats(capsys)["cached_tokens"] > 0.8 * first["prompt_tokens"] - 40
    assert main(["cache", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["states"]) == 1


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(ask: list[str], manual: Path, capsys: Capture) -> None:
    assert main([*ask, "--doc", str(manual), "--doc", "/no/such.pdf", "How?"]) == 1
    captured = capsys.readouterr()
    assert captured.out
    first, *rest = captured.err.splitlines()
    assert first.startswith("error: /no/such.pdf: no such file")
    assert rest == ["note: 1 of 2 documents could not be read: the answer is without them"]


def test_without_any_document_nothing_is_asked(ask: list[str], capsys: Capture) -> None:
    assert main([*ask, "--doc", "/no/such.pdf", "How?"]) == 1
    assert capsys.readouterr().out == ""


def test_a_folder_stands_for_what_is_in_it(ask: list[str], tmp_path: Path, manual: Path, capsys: Capture) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    manual.rename(folder / manual.name)
    (folder / "b.txt").write_text("電源を切る。", encoding="cp932")
    assert main([*ask, "--stats", "--doc", str(folder), "How?"]) == 0
    assert stats(capsys)["prompt_tokens"] > 100


@pytest.mark.parametrize(
    ("n_tokens", "n_ctx_train", "n_ctx"),
    [
        (100, 8192, None),
        (3584, 8192, None),
        (3585, 8192, 8192),
        (9000, 32768, 16384),
        (9000, 8192, 8192),
        (9000, 4096, None),
    ],
)
def test_windows_double(n_tokens: int, n_ctx_train: int, n_ctx: int | None) -> None:
    assert window_of(n_tokens, n_ctx_train) == n_ctx


def test_a_conversation_is_about_documents_too(
    ask: list[str], manual: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    chat = ["chat", "--plain", *ask[1:], "--doc", str(manual)]
    for _ in range(2):
        pipe_in(monkeypatch, b"How?\nAnd then?\n")
        assert main(chat) == 0
    assert capsys.readouterr().out
    assert main(["cache", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["states"]) == 1
    pipe_in(monkeypatch, b"How?\n")
    assert main(["chat", "--plain", *ask[1:], "--doc", "/no/such.pdf"]) == 1


def test_a_library_answers_and_json_says_what_is_cited(ask: list[str], manual: Path, capsys: Capture) -> None:
    with Library(library_dir("shelf")) as library:
        library.add(read_document(manual))
    assert main([*ask, "--json", "--library", "shelf", "How long is the red key pressed?"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["finish_reason"] == "length"
    assert answer["citations"] == []  # a random model says nothing that stands anywhere
    assert answer["stats"]["prompt_tokens"] > 200
    assert main([*ask, "--json", "--library", "shelf", "Who invented the telephone?"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "The documents hold nothing about this."
    assert answer["stats"]["prompt_tokens"] == 0


def test_a_library_that_is_not_there_is_one_clear_line(ask: list[str], capsys: Capture) -> None:
    assert main([*ask, "--library", "nowhere", "How?"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: library nowhere: nothing was added to it yet")
    assert captured.err.count("\n") == 1


def test_what_is_cited_is_listed_once_with_its_words(capsys: Capture) -> None:
    def cited(page: int, quote: str) -> Citation:
        return Citation(Path("/x/a\x1b.pdf"), quote, quote, 0, 0, ("Care", "Cleaning"), page)

    print_sources([cited(3, "Boil\nvinegar."), cited(9, "x" * 300), cited(3, "Other.")])
    lines = click.unstyle(capsys.readouterr().err).splitlines()
    assert lines[0] == "[a.pdf p. 3] Care › Cleaning: “Boil vinegar.”"
    assert lines[1].endswith("x…”")
    assert len(lines) == 2


@pytest.mark.parametrize("command", [["ask", "--doc", "", "How?"], ["docs", "add", ""], ["docs", "remove", ""]])
def test_an_empty_path_is_not_the_folder_one_is_in(command: list[str], capsys: Capture) -> None:
    assert main(command) == 2
    assert "'' is no path: expected a file, a folder or a glob" in capsys.readouterr().err
