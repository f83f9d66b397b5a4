"""Microphones and speakers: real PortAudio on virtual devices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.speech.sound_files import TONE_HZ, tone
from tests.speech.virtual_sound import VirtualSound

MICROPHONE = """
import numpy as np
from edgeai.speech.devices import Microphone
microphone = Microphone("vmic")
sound = np.concatenate([microphone.read() for _ in range(100)])
microphone.close()
assert microphone.read() is None
sound.tofile("{path}")
"""
SPEAKER = """
import numpy as np
from edgeai.speech.devices import Speaker
speaker = Speaker("vspk", {rate})
sound = np.fromfile("{path}", np.float32)
for block in np.array_split(sound, 50):
    speaker.write(block)
speaker.drain()
print(speaker.n_played)
speaker.close()
speaker.close()
"""
STOPPED = """
import numpy as np
from edgeai.speech.devices import Speaker
speaker = Speaker("vspk")
with speaker._change:  # the device asks for nothing meanwhile
    speaker._waiting.append(np.full(6_000, 0.5, np.float32))
    speaker._n_waiting = 6_000
    assert speaker.stop() == 6_000
speaker.write(np.full(2_400, 0.25, np.float32))
speaker.drain()
speaker.close()
"""
ERRORS = """
from edgeai import AudioDeviceError
from edgeai.speech.devices import Speaker
try:
    Speaker({name!r})
except AudioDeviceError as exc:
    print(exc)
"""
NO_BINDINGS = """
import sys
sys.modules["sounddevice"] = None
from edgeai import AudioDeviceError
from edgeai.speech.devices import devices
try:
    devices()
except AudioDeviceError as exc:
    print(exc)
"""


@pytest.fixture
def sound(tmp_path: Path) -> VirtualSound:
    return VirtualSound(tmp_path, tone(20, 16_000))


def run(sound: VirtualSound, code: str) -> str:
    done = sound.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # ALSA's own lines are kept off
    return done.stdout


def test_a_microphone_gives_the_samples_as_they_are(sound: VirtualSound, tmp_path: Path) -> None:
    """It is not paced, so that blocks are dropped; within a block nothing may be missing."""
    run(sound, MICROPHONE.format(path=tmp_path / "heard"))
    blocks = np.fromfile(tmp_path / "heard", np.float32).reshape(100, -1)
    turn = 2 * np.cos(2 * np.pi * TONE_HZ / 16_000)  # of a sine: x[n + 1] = turn * x[n] - x[n - 1]
    is_tone = np.abs(blocks[:, 2:] - turn * blocks[:, 1:-1] + blocks[:, :-2]).max(axis=1) < 3 / 32768
    assert is_tone.sum() >= 90  # the file may end within one, and silence stands before it
    assert np.abs(np.abs(blocks).max() - 0.5) < 1e-3


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_speaker_plays_all_of_it(rate: int, sound: VirtualSound, tmp_path: Path) -> None:
    tone(0.5, rate).tofile(tmp_path / "sound")
    assert int(run(sound, SPEAKER.format(path=tmp_path / "sound", rate=rate))) == pytest.approx(rate / 2, abs=1)
    played, expected = _loud(sound.played()), _loud(tone(0.5, 24_000))
    assert len(played) == pytest.approx(len(expected), abs=60)
    if rate == 24_000:  # as it is; silence stands in it where the device, which is not paced, was quicker than we
        assert np.abs(played - expected).max() < 2 / 32767


def test_what_is_stopped_never_sounds(sound: VirtualSound) -> None:
    run(sound, STOPPED)
    assert np.abs(sound.played()).max() == pytest.approx(0.25, abs=0.01)


def test_errors_are_one_line_that_says_what_there_is(sound: VirtualSound) -> None:
    line = run(sound, ERRORS.format(name="loud\nspeaker"))
    assert line.count("\n") == 1
    assert "'vspk'" in line
    assert "'vmic'" in run(sound, ERRORS.format(name="v"))
    assert "edgeai[speech]" in run(sound, NO_BINDINGS)


def test_the_commands_list_and_use_them(sound: VirtualSound, tmp_path: Path) -> None:
    main = "import sys; from tui.cli import main; sys.exit(main())"
    listed = sound.run("-c", main, "devices", "--json")
    names = {(device["kind"], device["name"]) for device in json.loads(listed.stdout)}
    assert names >= {("input", "vmic"), ("output", "vspk")}
    said = sound.run("-c", main, "say", "--output", "vspk", "It is warm.")
    assert said.returncode == 0, said.stderr
    assert 0.2 * 24_000 < len(_loud(sound.played())) < 3 * 24_000
    wrong = sound.run("-c", main, "say", "--output", "nobody", "It is warm.")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: no speaker is called 'nobody'")


def _loud(samples: Any) -> Any:
    return samples[np.abs(samples) > 1e-2]
