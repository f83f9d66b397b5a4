"""`edgeai ask --doc`, on a tiny model and real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny import tiny_model
from tests.tui.terminal import pipe_in
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
    assert captured.err.startswith("error: /no/such.pdf: no such file")
    assert captured.err.count("\n") == 1


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
