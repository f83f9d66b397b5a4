"""`edgeai transcribe`, run as a person runs it, on real sound files; a fake recognizer, and once the real one."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeai.paths import cache_dir, models_dir
from edgeai.speech.base import Recognized
from edgeai.speech.wav import write_wav
from tests.speech.heard import ENGLISH, FakeRecognizer, english, instead_of_whisper, silence, whisper_folder
from tui.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recordings, which is the current one."""
    made = tmp_path / "talks"
    (made / "sub").mkdir(parents=True)
    for name in ("one.wav", "sub/two.wav"):
        write_wav(made / name, [english()], 16_000)
    (made / "notes.txt").write_text("no sound\n")
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def recognizer(monkeypatch: pytest.MonkeyPatch) -> FakeRecognizer:
    return instead_of_whisper(monkeypatch)


def test_a_file_is_printed(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    assert main(["transcribe", "one.wav"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("peak ")
    assert err == ""
    assert not list((cache_dir() / "transcripts").iterdir())


def test_a_bad_file_is_one_line_and_the_rest_goes_on(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    (folder / "empty.wav").touch()
    assert main(["transcribe", "nowhere.wav", "empty.wav", "notes.txt", "one.wav"]) == 1
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error"] * 3 + ["note"]
    assert all(name in line for name, line in zip(("nowhere.wav", "empty.wav", "notes.txt"), lines, strict=False))
    assert lines[-1] == "note: 3 files of 4 could not be transcribed"
    assert out.startswith("peak ")


def test_a_missing_file_is_told_with_what_to_do(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    assert main(["transcribe", "nowhere.wav"]) == 1
    assert capsys.readouterr().err == "error: nowhere.wav: no such file: expected a sound file; check the path\n"


def test_a_text_that_cannot_be_written_is_not_heard_again(
    folder: Path, recognizer: FakeRecognizer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("tui.transcribing.write_text", full)
        assert main(["transcribe", "one.wav", "-o", "out"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: out/one.txt: cannot be written (No space left on device): expected ")
    n_asked = len(recognizer.asked)
    assert main(["transcribe", "one.wav", "-o", "elsewhere"]) == 0
    assert (folder / "elsewhere/one.txt").read_text().startswith("peak ")
    assert len(recognizer.asked) == n_asked


def test_folders_and_globs_go_into_a_folder(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    assert main(["transcribe", ".", "*.wav", "-o", "out", "--format", "vtt"]) == 0
    assert capsys.readouterr().out.splitlines() == ["out/one.vtt", "out/two.vtt"]
    assert (folder / "out/two.vtt").read_text().startswith("WEBVTT\n\n00:00:00.")
    assert main(["transcribe", "*.mp3"]) == 1
    assert "no sound or video" in capsys.readouterr().err


def test_no_file_is_written_over(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    (folder / "one.txt").write_text("mine")
    assert main(["transcribe", "one.wav", "-o", "."]) == 1
    assert "--force" in capsys.readouterr().err
    assert (folder / "one.txt").read_text() == "mine"
    assert recognizer.asked == []
    assert main(["transcribe", "one.wav", "-o", ".", "--force"]) == 0
    assert (folder / "one.txt").read_text().startswith("peak ")
    write_wav(folder / "sub/one.wav", [english()], 16_000)
    assert main(["transcribe", "one.wav", "sub/one.wav", "-o", "new", "--force"]) == 1  # not even each other's
    assert [path.name for path in (folder / "new").iterdir()] == ["one.wav.txt"]


def test_ctrl_c_keeps_what_was_heard(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    write_wav(folder / "long.wav", [english(), silence(7)] * 6, 16_000)
    recognizer.fails_at = 1
    assert main(["transcribe", "long.wav", "-o", "out"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert list((cache_dir() / "transcripts").glob("*.jsonl"))
    assert not (folder / "out").exists()
    recognizer.fails_at, before = None, len(recognizer.asked)
    assert main(["transcribe", "long.wav", "-o", "out"]) == 0
    assert sum(n for _, n in recognizer.asked[before:]) == 2  # four of six were heard before
    assert len((folder / "out/long.txt").read_text().splitlines()) == 6


def test_where_nobody_speaks(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    write_wav(folder / "still.wav", [silence(3)], 16_000)
    assert main(["transcribe", "still.wav", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"text": "", "language": "", "segments": [], "duration_s": 3.0}
    assert err == "note: still.wav: nobody speaks in it\n"


def test_what_a_recognizer_says_cannot_steer_the_terminal(
    folder: Path, recognizer: FakeRecognizer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    plain = recognizer.recognize

    def hostile(waveforms: Sequence[object], *args: object, **options: object) -> list[Recognized]:
        found = plain(waveforms, *args, **options)  # type: ignore[arg-type]
        return [replace(each, segments=tuple(replace(s, text="\x1b[2Jx") for s in each.segments)) for each in found]

    monkeypatch.setattr(recognizer, "recognize", hostile)
    for format_ in ("text", "json", "srt", "vtt"):
        assert main(["transcribe", "one.wav", "--format", format_]) == 0
        assert "\x1b" not in capsys.readouterr().out


def test_missing_weights_are_one_line(folder: Path, capsys: Capture) -> None:
    assert main(["transcribe", "one.wav"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "edgeai models pull whisper-base" in line


def test_wrong_usage(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    assert main(["transcribe", "one.wav", "--force"]) == 2
    assert main(["transcribe", ""]) == 2
    assert main(["transcribe"]) == 2


@pytest.mark.weights
def test_with_whisper(folder: Path, capsys: Capture) -> None:
    models_dir().mkdir(parents=True)
    (models_dir() / "whisper-base").symlink_to(whisper_folder())
    assert main(["transcribe", "one.wav", "--language", "EN", "--words", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["text"] == ENGLISH
    assert [word["text"].strip() for word in found["segments"][0]["words"]] == ENGLISH.split()
    assert main(["transcribe", "one.wav", "sub", "--language", "tlh"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
