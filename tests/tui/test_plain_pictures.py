"""`edgeai chat --plain` about pictures, and `--image` in both kinds of chat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeai.history import History, StoredMessage
from edgeai.media import Medium
from tests.fakes import FakeBackend
from tests.tui.pictured import panel_in, reads
from tests.tui.terminal import FakeModels
from tests.tui.test_plain import chat
from tests.vision.picture_files import SIZE, frames, halves, written
from tui.app import EdgeAIApp
from tui.cli import main

Capture = pytest.CaptureFixture[str]
PANEL = Medium.picture(halves().tobytes(), *SIZE)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeModels:
    """A fake model that sees, in a folder of our own with a picture."""
    monkeypatch.chdir(tmp_path)
    panel_in(tmp_path)
    return FakeModels(monkeypatch, FakeBackend(sees=True))


def stored() -> list[StoredMessage]:
    with History() as history:
        return history.path(history.conversations()[0].id)


def media(models: FakeModels) -> list[list[Medium]]:
    return [list(request.media) for request in models.backend.requests]


def test_a_picture_goes_with_the_next_line_and_stays_in_the_conversation(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    written(tmp_path, "moving.gif", frames("GIF", 12))
    lines = "/image\n/image panel.png moving.gif\n/image remove moving.gif\n/image\nWhat?\nAnd?\n/regenerate\n"
    assert chat(monkeypatch, lines) == 0
    assert media(models) == [[PANEL], [PANEL], [PANEL]]
    assert "user\n[♪♪♪♪]What?<" in models.prompts[0]
    assert "user\nAnd?<" in models.prompts[1]
    assert capsys.readouterr().err.splitlines() == [
        "There is no picture for the next message: /image PATH adds one.",
        "panel.png · 48 x 32 · 6 tokens",
        "moving.gif · 48 x 32 · 6 tokens · first of 12 frames",
        "Removed: moving.gif",
        "panel.png",
    ]
    assert [[Path(ref.path).name for ref in item.pictures] for item in stored()] == [["panel.png"], [], [], []]
    capsys.readouterr()
    with History() as history:
        assert main(["history", "show", history.conversations()[0].id]) == 0
    assert "You\n▣ panel.png\nWhat?\n" in capsys.readouterr().out
    (tmp_path / "panel.png").unlink()
    assert chat(monkeypatch, "Still?\n", "--continue") == 0
    assert media(models)[-1] == []
    error = capsys.readouterr().err
    assert "panel.png: no such file" in error
    assert "goes on without it" in error


def test_what_cannot_be_read_is_one_line_and_attaches_nothing(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert chat(monkeypatch, "/image panel.png broken.png\nWhat?\n/image remove x\n") == 1
    assert media(models) == [[]]
    first, second = capsys.readouterr().err.splitlines()
    assert "broken.png" in first
    assert second == "error: /image remove x: expected the name of one that is attached: none"
    assert chat(monkeypatch, "What?\n", "--image", "broken.png") == 1
    assert len(models.backend.requests) == 1


def test_a_model_without_eyes_reads(monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    panel_in(tmp_path)
    models = FakeModels(monkeypatch, FakeBackend().enqueue("4.2 bar."))
    read = reads(monkeypatch, "PRESSURE 4.2 bar")
    assert chat(monkeypatch, "What?\nSure?\n", "--image", "panel.png") == 0
    assert all("PRESSURE 4.2 bar" in prompt for prompt in models.prompts)
    assert len(read) == 1
    out, error = capsys.readouterr()
    assert error == "panel.png · 48 x 32 · text will be read\n"
    whole = "(I have not seen panel.png, only read what is written in it.)\n\n4.2 bar."
    assert out.startswith(whole)
    assert stored()[1].content == whole


def test_the_window_begins_with_the_pictures_that_were_given(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun: list[Any] = []
    monkeypatch.setattr("tui.commands.chat._has_terminal", lambda: True)
    monkeypatch.setattr(EdgeAIApp, "run", lambda app: begun.append((app._pictures, app._graphics.way)))
    assert main(["chat", "--image", "panel.png", "-i", "b.png"]) == 0
    assert begun == [((Path("panel.png"), Path("b.png")), "blocks")]
