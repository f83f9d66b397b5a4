"""Files that are damaged, mislabelled or odd, transcribed in one batch: a line for each, and the others go on."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeai.speech.decode import sound_of
from edgeai.speech.transcribe import transcribe
from edgeai.speech.types import SAMPLE_RATE_HZ
from tests.speech.heard import FakeRecognizer, english, instead_of_whisper, silence
from tests.speech.sound_files import encoded, tone, wav
from tui.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recognizer(monkeypatch: pytest.MonkeyPatch) -> FakeRecognizer:
    return instead_of_whisper(monkeypatch)


def float_wav(path: Path, samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Path:
    """32-bit floating point, which the standard library does not write."""
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, SAMPLE_RATE_HZ, 4 * SAMPLE_RATE_HZ, 4, 32)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    return path


def without_sound(folder: Path) -> list[Path]:
    """Files in which no sound can be."""
    Image.new("RGB", (8, 8)).save(folder / "picture.png")
    made = [(folder / "picture.png").rename(folder / "picture.mp3")]
    whole = encoded(folder / "whole.m4a", "aac", tone(3, 44_100), 44_100).read_bytes()
    for name, data in {"cut.m4a": whole[: len(whole) // 2], "zeros.wav": bytes(5000), "head.wav": b"RIFF"}.items():
        made.append(folder / name)
        made[-1].write_bytes(data)
    (folder / "whole.m4a").unlink()
    return [*made, encoded(folder / "mute.mp4", "aac", None, 1, with_video=True)]


def test_one_line_each_and_the_others_go_on(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    bad = without_sound(folder)
    wav(folder / "good.wav", english(), SAMPLE_RATE_HZ)
    assert main(["transcribe", *(path.name for path in bad), "good.wav", "-o", "out"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == ["out/good.txt"]
    *lines, note = err.splitlines()
    for path, line in zip(bad, lines, strict=True):
        assert line.startswith(f"error: {path.name}: ")
        assert "expected" in line
    assert note == f"note: {len(bad)} files of {len(bad) + 1} could not be transcribed"


def test_a_damaged_part_is_left_out_and_told(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    path = encoded(folder / "a.mp3", "libmp3lame", np.concatenate([english()] * 4), SAMPLE_RATE_HZ)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(data)
    assert main(["transcribe", "a.mp3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("peak ")
    assert err == "note: a.mp3: a part is damaged or missing and was left out\n"


def test_a_wav_file_that_is_cut_short_is_told(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    path = wav(folder / "a.wav", np.concatenate([english()] * 2), SAMPLE_RATE_HZ)
    whole = path.read_bytes()
    for data, notes in (
        (whole[: len(whole) // 2], ["note: a.wav: a part is damaged or missing and was left out"]),
        (whole[:4] + b"\xff\xff\xff\xff" + whole[8:], []),  # written while it was recorded
        (whole, []),
    ):
        path.write_bytes(data)
        assert main(["transcribe", "a.wav"]) == 0
        out, err = capsys.readouterr()
        assert out.startswith("peak ")
        assert err.splitlines() == notes


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_clipped(folder: Path) -> None:
    spoken = english() / np.abs(english()).max()
    loud = 40 * spoken
    loud[1000:1010] = [np.nan, np.inf, -np.inf] * 3 + [np.nan]
    recognizer = FakeRecognizer()
    with sound_of(float_wav(folder / "a.wav", loud)) as sound:
        heard = transcribe(sound, recognizer, "en")
    assert [segment.text for segment in heard.segments] == ["peak 100"]
    with sound_of(float_wav(folder / "b.wav", np.full(SAMPLE_RATE_HZ, np.nan, np.float32))) as sound:
        assert not transcribe(sound, recognizer, "en").segments


@pytest.mark.parametrize(("rate", "n_bits", "n_channels"), [(192_000, 24, 8), (8_000, 8, 2)])
def test_speech_is_heard_at_odd_rates_and_widths(rate: int, n_bits: int, n_channels: int, folder: Path) -> None:
    from edgeai.speech.waveform import resample

    spoken = resample(english(), SAMPLE_RATE_HZ, rate)
    samples = np.clip(np.repeat(spoken[:, None], n_channels, axis=1), -1, 1)
    with sound_of(wav(folder / "a.wav", samples, rate, n_bits=n_bits)) as sound:
        heard = transcribe(sound, FakeRecognizer(), "en")
    assert len(heard.segments) == 1
    assert heard.duration_s == pytest.approx(len(english()) / SAMPLE_RATE_HZ, abs=0.05)


def test_long_silence_has_no_text(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    encoded(folder / "still.opus", "libopus", silence(240), SAMPLE_RATE_HZ)
    assert main(["transcribe", "still.opus", "--format", "srt", "-o", "."]) == 0
    assert (folder / "still.srt").read_text() == ""
    assert capsys.readouterr().err == "note: still.opus: nobody speaks in it\n"
    assert recognizer.asked == []


def test_a_folder_that_cannot_be_made(folder: Path, recognizer: FakeRecognizer, capsys: Capture) -> None:
    wav(folder / "good.wav", english(), SAMPLE_RATE_HZ)
    (folder / "file").write_text("no folder")
    assert main(["transcribe", "good.wav", "-o", "file/texts"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: file/texts: no file can be written there")
    assert out == ""
    assert recognizer.asked == []  # it is said before anything is heard
    assert (folder / "file").read_text() == "no folder"
    assert main(["transcribe", "good.wav", "-o", "file"]) == 2
