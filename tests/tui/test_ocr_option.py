"""`--ocr` of the commands that read documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vision.drawn_text import drawn, scanned_pdf
from tui.cli import main

COMMANDS = [
    ["ask", "-d", "scan.pdf", "What is it?"],
    ["chat", "--plain", "-d", "scan.pdf"],
    ["summarize", "scan.pdf"],
    ["report", "--from", "scan.pdf", "--outline", "how it is done"],
    ["docs", "add", "scan.pdf"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_it_reaches_the_reading_of_documents(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEAI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tui.commands.ask.read_stdin", lambda **_options: "")
    Path("scan.pdf").write_bytes(scanned_pdf([drawn(200, 60, [])]))
    assert main([*arguments, "--ocr", "never"]) == 1
    assert "--ocr auto recognises their text" in capsys.readouterr().err
    assert main([*arguments, "--ocr", "sometimes"]) == 2
