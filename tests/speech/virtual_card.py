"""A sound card without hardware that plays and records in real time (virtual_card.c), through the real PortAudio.

The microphone "vmic" (16 kHz) hears silence, unless something is said; what the speaker "vspk" (24 kHz) has sounded can
be looked at. Both count their samples from one moment. Each is open to one program at a time, and the card can be
unplugged. PortAudio reads ALSA's settings once in a process, so a program that uses it runs in one of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_SETTINGS = """
pcm_type.card {{ lib "{0}/card.so" }}
pcm.vmic {{ type card folder "{0}" origin "{1}" rate 16000 }}
pcm.vspk {{ type card folder "{0}" origin "{1}" rate 24000 }}
pcm.odd {{ type card folder "{0}" origin "{1}" rate 11025 channels 2 }}
pcm.ultrasonic {{ type card folder "{0}" origin "{1}" rate 800000 }}
"""
_SOURCE = Path(__file__).with_suffix(".c")
_ROOT = Path(__file__).parents[2]


class VirtualCard:
    """The card, in a folder that is the home of the programs that use it."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or pytest.skip("there is no C compiler to build the virtual sound card with")
        # The library by its name: its headers and its link for compilers come with a package that users lack.
        build = [compiler, "-shared", "-fPIC", "-o", str(folder / "card.so"), str(_SOURCE), "-l:libasound.so.2"]
        subprocess.run(build, check=True, timeout=60)
        self._folder = folder
        self._origin_ns = time.monotonic_ns()
        (folder / ".asoundrc").write_text(_SETTINGS.format(folder, self._origin_ns))

    @property
    def environment(self) -> dict[str, str]:
        """Of programs that use the card."""
        return {**os.environ, "HOME": str(self._folder), "ALSA_CONFIG_PATH": "/usr/share/alsa/alsa.conf"}

    def run(self, code: str) -> str:
        """Run Python, which ends well and complains of nothing; its output."""
        with self.program(code) as program:
            out, err = program.communicate(timeout=60)
        assert (program.returncode, err) == (0, ""), out + err
        return out

    @contextmanager
    def program(self, code: str) -> Iterator[subprocess.Popen[str]]:
        """Python that runs with the card, for as long as this is entered."""
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(
            [sys.executable, "-c", code], **pipes, text=True, env=self.environment, cwd=_ROOT
        ) as program:
            try:
                yield program
            finally:
                program.kill()

    def say(self, waveform: Any) -> int:
        """Say this in a moment, [n] of 16 kHz; the sample at which it begins."""
        begin = int((time.monotonic_ns() - self._origin_ns) * 16_000 / 1e9) + 1_600
        with (self._folder / "microphone.raw").open("r+b") as file:
            file.seek(2 * begin)
            file.write(np.rint(waveform * 32767).astype("<i2").tobytes())
        return begin

    def sounded(self) -> Any:
        """What has sounded, [n] of 24 kHz, from the same moment as the samples of the microphone."""
        return np.fromfile(self._folder / "speaker.raw", "<i2") / 32767

    def unplug(self) -> None:
        (self._folder / "unplugged").touch()

    def stall(self) -> None:
        """Neither take sound nor give any from now on."""
        (self._folder / "stalled").touch()

    @contextmanager
    def in_use(self, *names: str) -> Iterator[None]:
        """Another program uses "microphone" or "speaker"."""
        files = [(self._folder / f"{name}.raw").open("ab") for name in names]
        for file in files:
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            for file in files:
                file.close()
