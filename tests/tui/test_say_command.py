"""`edgeai say`, run as a person runs it, with the voices that come with the extra."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest

from tests.tui.terminal import pipe_in
from tui.cli import main

Capture = pytest.CaptureFixture[str]


def test_a_text_becomes_a_file(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "a.wav"
    assert main(["say", "-o", str(out), "--json", "Yes. はい。"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["language"] for line in lines] == ["en", "ja"]
    with wave.open(str(out)) as file:
        seconds = file.getnframes() / file.getframerate()
    assert seconds == pytest.approx(sum(line["duration_s"] for line in lines), abs=0.01)
    assert main(["say", "-o", str(out), "Yes."]) == 1
    assert "--force" in capsys.readouterr().err


def test_voices_are_listed_with_their_licences(capsys: Capture) -> None:
    assert main(["say", "--list-voices"]) == 0
    out = capsys.readouterr().out
    mei = next(line for line in out.splitlines() if "openjtalk-mei (default)" in line)
    assert mei.startswith("●")
    assert all(word in mei for word in ("ja", "48 kHz", "CC-BY-3.0"))
    assert "Nagoya Institute of Technology" in out
    assert "kokoro-…: edgeai models pull kokoro-ja" in out
    assert main(["say", "--list-voices", "--json"]) == 0
    voices = {voice["name"]: voice for voice in json.loads(capsys.readouterr().out)}
    assert voices["hibari-heart"]["installed"]
    assert voices["hibari-heart"]["get"] is None
    assert not voices["kokoro-jf_alpha"]["installed"]
    assert voices["kokoro-jf_alpha"]["weights"] == "kokoro-ja"
    assert sum(voice["default"] for voice in voices.values()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--voice", "nobody", "Hi."], "no voice is called 'nobody'"),
        (["--voice", "kokoro-alpha", "Hi."], "did you mean kokoro-jf_alpha"),
        (["--voice", "x\x1b[2J" + "x" * 1000, "Hi."], "no voice is called"),
        (["--voice", "openjtalk-mei", "--voice", "kokoro-jf_alpha", "Hi."], "both speak 'ja'"),
        (["--voice", "kokoro-jf_alpha", "はい。"], "edgeai models pull kokoro-ja"),
        (["--voice", "hibari-emma", "Hi."], "the weights of the voice hibari-emma are not there"),
        (["--language", "en", "😀🎉"], "nothing can be spoken"),
        (["Привет."], "no voice here speaks Russian"),
        (["x" * 100_000], "a word of more than 60 letters"),
        (["\x1b[31m\x07\x1b]0;title\x07"], "expected words"),
        (["<speak><break time='10s'/></speak>"], "expected words"),
    ],
)
def test_what_cannot_be_said_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pipe_in(monkeypatch, b"")
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    assert main(["say", "-o", str(tmp_path / "a.wav"), *arguments]) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("error")]
    assert words in line
    assert len(line) < 400
    assert "\x1b" not in out + err
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize("piped", [b"", b" \n\t\n", "\ufeff\n".encode()])
def test_nothing_to_say_is_wrong_usage(piped: bytes, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    pipe_in(monkeypatch, piped)
    assert main(["say"]) == 2
    assert "nothing to say" in capsys.readouterr().err


def test_marks_for_machines_are_not_spoken(tmp_path: Path, capsys: Capture) -> None:
    text = '<speak>Hello <emphasis level="strong">you</emphasis>.</speak>\x1b[31m Red\x1b[0m.\x00\x07'
    assert main(["say", "-o", str(tmp_path / "a.wav"), "--json", text]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["spoken"] for line in out.splitlines()] == ["Hello you. Red."]
    assert "\x1b" not in out + err
