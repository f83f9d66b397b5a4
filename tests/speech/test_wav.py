"""WAV files: what is written is what is read, also after a kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai import AudioError
from edgeai.speech.wav import WavWriter, write_wav
from tests.speech.sound_files import tone

KILLED = """
import os, signal, sys, numpy as np
from edgeai.speech.wav import WavWriter
writer = WavWriter(sys.argv[1], 16_000)
for _ in range(10):
    writer.write(np.full(1_600, 0.25, np.float32))
os.kill(os.getpid(), signal.SIGKILL)
"""


def read(path: Path) -> tuple[Any, int]:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, file.getframerate()


def test_a_waveform_comes_back(tmp_path: Path) -> None:
    sound = tone(0.5, 24_000)
    assert write_wav(tmp_path / "new" / "a.wav", np.array_split(sound, 7), 24_000) == len(sound)
    samples, rate = read(tmp_path / "new" / "a.wav")
    assert rate == 24_000
    assert np.abs(samples - sound).max() < 1 / 32768


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def blocks() -> Iterator[Any]:
        yield tone(0.1, 16_000)
        raise KeyboardInterrupt

    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_wav(path, blocks(), 16_000)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_recording_is_readable_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, env=dict(os.environ))
    assert ended.returncode == -signal.SIGKILL
    samples, _ = read(path)
    assert len(samples) == 16_000
    assert np.allclose(samples, 0.25)


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with pytest.raises(AudioError, match=r"a\.wav: there is such a file"):
        WavWriter(path, 16_000)
    assert path.read_bytes() == b"old"
