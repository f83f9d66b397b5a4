"""What goes wrong with microphones and speakers: through the real PortAudio, on a sound card without hardware."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.speech.sound_files import TONE_HZ, tone
from tests.speech.virtual_card import VirtualCard

COMMANDS = """
import contextlib, io, json
from tui.cli import main
for args in {commands}:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    print(json.dumps([code, *(stream.buffer.getvalue().decode() for stream in (out, err))]))
"""
NAMES = ["--input", "vmic", "--output", "vspk"]
SAY, TRY = ["say", "It is warm."], ["devices", "--test", "--seconds", "0.5", *NAMES, "--json"]
ENDING = """
import pathlib, time
import numpy as np
from edgeai import AudioDeviceError
from edgeai.speech import microphone, speaker
microphone._STALL_S = speaker._STALL_S = 0.4
ears, mouth = microphone.Microphone("vmic"), speaker.Speaker("vspk")
for _ in range(20):
    mouth.write(np.full(480, 0.25, np.float32))
    assert len(ears.read())
pathlib.Path({path!r}).touch()
for work in (ears.read, lambda: mouth.write(np.zeros(480, np.float32))):
    try:
        while True:
            work()
    except AudioDeviceError as exc:
        print(exc)
ears.close()
mouth.close()
"""
TWICE = """
from edgeai import AudioDeviceError
from edgeai.speech.devices import Microphone, Speaker
for name, open_one in (("vmic", Microphone), ("vspk", Speaker)):
    first = open_one(name)
    try:
        open_one(name)
    except AudioDeviceError as exc:
        print(exc)
    first.close()
    open_one(name).close()
"""
UNUSUAL = """
import numpy as np
from edgeai import AudioDeviceError
from edgeai.speech.devices import Microphone
try:
    Microphone("ultrasonic")
except AudioDeviceError as exc:
    print(exc)
odd = Microphone("odd")
np.concatenate([odd.read() for _ in range(50)]).tofile({path!r})
odd.close()
"""
NO_LIBRARY = """
import ctypes.util, sys
find, ctypes.util.find_library = ctypes.util.find_library, lambda name: None if name == "portaudio" else find(name)
"""


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    return VirtualCard(tmp_path)


def outcomes(card: VirtualCard, *commands: list[str], before: str = "") -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each command, all in one process."""
    printed = card.run(before + COMMANDS.format(commands=commands))
    return [tuple(json.loads(line)) for line in printed.splitlines()]


def assert_one_line(outcome: tuple[int, str, str], words: str) -> None:
    code, out, err = outcome
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_card_that_is_unplugged_in_the_middle(card: VirtualCard, tmp_path: Path) -> None:
    """PortAudio tells that it has ended, or tries for ever to start it again and tells nothing."""
    gone, silent = card.run(ENDING.format(path=str(tmp_path / "unplugged"))).splitlines()
    assert re.match("the microphone 'vmic' (is gone|has given nothing for 0 s): plug it in again", gone)
    assert silent.startswith("the speaker 'vspk' is gone or plays nothing: plug it in again")


def test_a_card_that_stalls(card: VirtualCard, tmp_path: Path) -> None:
    gone, silent = card.run(ENDING.format(path=str(tmp_path / "stalled"))).splitlines()
    assert gone.startswith("the microphone 'vmic' has given nothing for 0 s: plug it in again")
    assert silent.startswith("the speaker 'vspk' is gone or plays nothing: plug it in again")


def test_a_device_that_is_in_use_can_be_opened_later(card: VirtualCard) -> None:
    microphone, speaker = card.run(TWICE).splitlines()
    assert microphone.startswith("the microphone 'vmic' is in use by another program: close that, or choose another")
    assert speaker.startswith("the speaker 'vspk' is in use by another program: close that, or choose another")


def test_unusual_and_impossible_sample_rates(card: VirtualCard, tmp_path: Path) -> None:
    two_channels = tone(60, 11_025).repeat(2)
    (tmp_path / "microphone.raw").write_bytes(np.rint(two_channels * 32767).astype("<i2").tobytes())
    problem = card.run(UNUSUAL.format(path=str(tmp_path / "heard")))
    assert problem.startswith("the microphone 'ultrasonic' does none of the sample rates 8,000, 16,000,")
    heard = np.fromfile(tmp_path / "heard", np.float32)[2_000:10_000]
    strongest = np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard))))) * 16_000 / len(heard)
    assert strongest == pytest.approx(TONE_HZ, abs=3)
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.01)


def test_devices_that_another_program_held_from_the_start_are_not_seen(card: VirtualCard) -> None:
    with card.in_use("microphone", "speaker"):
        said, named, tried, listed = outcomes(card, SAY, [*SAY, "--output", "vspk"], TRY, ["devices"])
    assert_one_line(said, "there is no speaker here, or another program holds it")
    assert_one_line(named, "there is no speaker here, or another program holds it")
    assert tried[0] == 1
    facts = json.loads(tried[1])
    assert facts["speaker"]["error"].startswith("there is no speaker here, or another program holds it")
    assert facts["microphone"]["error"].startswith("there is no microphone here, or another program holds it")
    assert listed[:2] == (0, "There is no microphone and no speaker here, or other programs hold them.\n")


def test_no_device_at_all(card: VirtualCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".asoundrc").write_text("")
    said, tried, doctor = outcomes(card, SAY, TRY, ["doctor", "--json"])
    assert_one_line(said, "there is no speaker here, or another program holds it: plug one in")
    assert tried[0] == 1
    audio = json.loads(doctor[1])["audio"]
    assert (audio["microphones"], audio["speakers"], audio["problem"]) == ([], [], None)


def test_no_portaudio(card: VirtualCard) -> None:
    said, tried, listed, doctor = outcomes(card, SAY, TRY, ["devices"], ["doctor", "--json"], before=NO_LIBRARY)
    assert_one_line(said, "there is no PortAudio here, so no microphone and no speaker: install it")
    assert_one_line(listed, "apt install libportaudio2")
    assert tried[0] == 1
    assert "libportaudio2" in json.loads(tried[1])["microphone"]["error"]
    facts = json.loads(doctor[1])
    assert "libportaudio2" in facts["audio"]["problem"]
    assert any("libportaudio2" in warning["advice"] for warning in facts["warnings"])


def test_trying_the_devices(card: VirtualCard, tmp_path: Path) -> None:
    clipped = np.clip(2 * tone(60, 16_000), -1, 1)
    (tmp_path / "microphone.raw").write_bytes(np.rint(clipped * 32767).astype("<i2").tobytes())
    loud, doctor = outcomes(card, TRY, ["doctor", "--json"])
    assert loud[0] == 0
    facts = json.loads(loud[1])
    assert facts["microphone"]["peak_dbfs"] == 0.0
    assert facts["microphone"]["rms_dbfs"] == pytest.approx(-3.0, abs=0.1)
    assert facts["microphone"]["remark"] == "too loud: turn its level down"
    sounded = card.sounded()
    loud_samples = np.flatnonzero(np.abs(sounded) > 1e-2)
    assert (loud_samples[-1] - loud_samples[0]) / 24_000 == pytest.approx(1.0, abs=0.05)
    assert np.abs(sounded).max() == pytest.approx(0.25, abs=0.01)
    audio = json.loads(doctor[1])["audio"]
    assert [device["name"] for device in audio["speakers"] if device["default"]]
    assert {"vmic", "vspk"} <= {device["name"] for device in audio["microphones"]}


def test_a_muted_microphone_is_told(card: VirtualCard) -> None:
    (outcome,) = outcomes(card, ["devices", "--test", "--seconds", "0.5", *NAMES])
    assert outcome[::2] == (0, "")
    assert outcome[1].splitlines() == [
        "speaker     vspk: a tone of 1 s was played",
        "microphone  vmic: peak -∞ dBFS, RMS -∞ dBFS, 0.0% clipped",
        "            silence: is it muted, or is another microphone meant (--input NAME)?",
    ]
