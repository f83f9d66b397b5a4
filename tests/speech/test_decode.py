"""Sound files of many kinds, and what people take for sound files."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from edgeai import AudioError
from edgeai.speech.decode import sound_of
from tests.speech.sound_files import TONE_HZ, encoded, tone, wav

CODECS = [
    ("a.mp3", "libmp3lame", 44_100, False),
    ("a.flac", "flac", 96_000, False),
    ("a.opus", "libopus", 48_000, False),
    ("a.m4a", "aac", 44_100, False),
    ("a.webm", "libopus", 48_000, False),
    ("a.mp4", "aac", 44_100, True),
]


def heard(path: Path, start_s: float = 0.0) -> Any:
    with sound_of(path, start_s=start_s) as sound:
        return np.concatenate(list(sound))


def is_the_tone(waveform: Any, seconds: float) -> bool:
    spectrum = np.abs(np.fft.rfft(waveform))
    peak_hz = float(np.argmax(spectrum)) / len(waveform) * 16_000
    level = float(np.sqrt(np.mean(waveform[1600:-1600] ** 2)))
    is_as_long = abs(len(waveform) / 16_000 - seconds) < 0.06  # a frame of padding
    return is_as_long and abs(peak_hz - TONE_HZ) < 2 and abs(level - 0.5 / np.sqrt(2)) < 0.03


@pytest.mark.parametrize(("name", "codec", "rate", "with_video"), CODECS)
def test_compressed_files_sound_as_they_were(
    name: str, codec: str, rate: int, with_video: bool, tmp_path: Path
) -> None:
    path = encoded(tmp_path / name, codec, tone(2, rate), rate, with_video=with_video)
    assert is_the_tone(heard(path), 2)


@pytest.mark.parametrize(
    ("rate", "n_bits", "n_channels"),
    [(8_000, 8, 1), (16_000, 16, 1), (44_100, 24, 2), (192_000, 32, 1), (48_000, 16, 8)],
)
def test_any_rate_width_and_number_of_channels(rate: int, n_bits: int, n_channels: int, tmp_path: Path) -> None:
    samples = np.repeat(tone(2, rate)[:, None], n_channels, axis=1)
    assert is_the_tone(heard(wav(tmp_path / "a.wav", samples, rate, n_bits=n_bits)), 2)


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.flac", "flac", tone(1, 16_000), 16_000)
    assert is_the_tone(heard(path.rename(tmp_path / "a.mp3")), 1)


def test_it_can_begin_later(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", np.concatenate([np.zeros(32_000), tone(1, 16_000)]), 16_000)
    assert is_the_tone(heard(path, start_s=2.0), 1)


def test_it_says_how_long_it_is_and_that_it_is_cut(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp3", "libmp3lame", tone(8, 44_100), 44_100)
    with sound_of(path) as sound:
        assert sound.duration_s == pytest.approx(8, abs=0.1)
        list(sound)
        assert not sound.is_cut
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with sound_of(path) as sound:
        seconds = sum(map(len, sound)) / 16_000
        assert 3 < seconds < 5
        assert sound.is_cut


def test_sizes_in_a_header_may_lie(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(1, 16_000), 16_000)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", 2**32 - 1)
    path.write_bytes(data)
    assert is_the_tone(heard(path), 1)


def test_an_hour_is_decoded_in_little_memory(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.flac", "flac", np.zeros(3600 * 8_000, np.float32), 8_000)
    n_samples, peak = 0, 0
    with sound_of(path) as sound:
        (child,) = [child for child in psutil.Process().children() if "decode_child" in " ".join(child.cmdline())]
        for number, block in enumerate(sound):
            n_samples += len(block)
            if number % 600 == 0:
                peak = max(peak, child.memory_info().rss)
    assert n_samples == 3600 * 16_000
    assert peak < 200 * 2**20


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    files = {
        "missing": (folder / "missing.wav", "no such file"),
        "a folder": (folder, "folder"),
        "empty": (folder / "empty.wav", "empty"),
        "no samples": (wav(folder / "none.wav", np.zeros(0), 16_000), "nothing in it"),
        "no sound": (encoded(folder / "silent.mp4", "aac", None, 1, with_video=True), "pictures and no sound"),
        "text": (folder / "text.mp3", "no sound or video file"),
        "noise": (folder / "noise.wav", "no sound or video file"),
        "a playlist": (folder / "list.m3u8", "no sound or video file"),
        "a list of files": (folder / "list.wav", "no sound or video file"),
        "a pipe": (folder / "pipe.wav", "pipe"),
    }
    good = wav(folder / "good.wav", tone(1, 16_000), 16_000)
    files["empty"][0].touch()
    files["text"][0].write_text("hello " * 1000)
    files["noise"][0].write_bytes(np.random.default_rng(0).bytes(50_000))
    files["a playlist"][0].write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{good}\n#EXT-X-ENDLIST\n")
    files["a list of files"][0].write_text(f"ffconcat version 1.0\nfile {good}\n")
    os.mkfifo(files["a pipe"][0])
    return files


def test_bad_files_are_one_line_that_names_them(tmp_path: Path) -> None:
    for what, (path, words) in bad_files(tmp_path).items():
        with pytest.raises(AudioError, match=words) as caught, sound_of(path) as sound:
            list(sound)
        message = str(caught.value)
        assert "\n" not in message, what
        assert message.startswith(str(path)), what
        assert "expected" in message, what


def test_a_name_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(AudioError) as caught, sound_of(tmp_path / "a\n\x1b[31m.wav"):
        pass
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
