"""A microphone and a speaker without hardware: ALSA's `file` plugin, through the real PortAudio.

The microphone "vmic" (16 kHz) gives a waveform, as fast as it is asked; the speaker "vspk" (24 kHz) writes a WAV file.
PortAudio reads ALSA's settings once in a process, so a program that uses them runs in one of its own, with a home
folder whose .asoundrc names them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np

_SETTINGS = """
pcm.vspk {{ type plug slave {{ pcm {{ type file slave.pcm {{ type null }} file "{0}/spk.wav" format "wav" }}
  format S16_LE channels 1 rate 24000 }} }}
pcm.vmic {{ type plug slave {{ pcm {{ type file slave.pcm {{ type null }} file "/dev/null" infile "{0}/mic.raw"
  format "raw" }} format S16_LE channels 1 rate 16000 }} }}
"""


class VirtualSound:
    """Both devices, in a folder."""

    def __init__(self, folder: Path, microphone: Any) -> None:
        """`microphone` is [n_samples] of 16 kHz in -1..1."""
        self._folder = folder
        (folder / ".asoundrc").write_text(_SETTINGS.format(folder))
        (folder / "mic.raw").write_bytes(np.rint(microphone * 32767).astype("<i2").tobytes())

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments."""
        environment = {**os.environ, "HOME": str(self._folder), "ALSA_CONFIG_PATH": "/usr/share/alsa/alsa.conf"}
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
            env=environment,
        )

    def played(self) -> Any:
        """What the speaker was given, [n_samples] of 24 kHz, without the silence around it."""
        with wave.open(str(self._folder / "spk.wav")) as file:
            samples = np.frombuffer(file.readframes(2**28), "<i2") / 32767
        loud = np.flatnonzero(np.abs(samples) > 1e-3)
        return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]
