"""The most memory that hearing and a conversation take: this process and its children, which are the language model's
engine or the decoder of sound files. Every process counts with its own peak (Linux)."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from benchmarks.isolation import peak_rss_mib
from benchmarks.speech_audio import recording
from benchmarks.speech_talk import talking
from edgeai.speech.engines import SpeechEngines
from edgeai.speech.types import SAMPLE_RATE_HZ
from edgeai.speech.wav import write_wav

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

_POLL_S = 0.1
_TILE_S = 300.0


class Peak(NamedTuple):
    """Peak resident memory, MiB."""

    what: str
    own_mib: float
    children_mib: float

    @property
    def sum_mib(self) -> float:
        """Of all; libraries that they share count twice."""
        return self.own_mib + self.children_mib


class Children:
    """The peaks of this process's children, looked at while they live."""

    def __init__(self) -> None:
        self.mib: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Children:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_POLL_S):
            for child in psutil.Process().children(recursive=True):
                try:
                    self.mib[child.pid] = peak_rss_mib(child.pid)
                except (OSError, StopIteration):  # it has just ended
                    continue


def conversation(asked: dict[str, list[Waveform]]) -> Peak:
    """Questions in each language, each with its answer's first sound."""
    with Children() as children, talking() as talk:
        for language, some in asked.items():
            for question in some:
                talk.ask(language, question)
        return Peak("conversation, default model", peak_rss_mib(os.getpid()), sum(children.mib.values()))


def transcription(path: Path, minutes: float) -> Peak:
    """A file, from a process that does nothing else."""
    with Children() as children:
        SpeechEngines().transcribe(path, "en")
    return Peak(f"transcribing {minutes:g} min", peak_rss_mib(os.getpid()), sum(children.mib.values()))


@contextmanager
def sound_file(minutes: float) -> Iterator[Path]:
    """A WAV file so long."""
    waveform, _ = recording("en", min(_TILE_S, 60 * minutes))
    with tempfile.TemporaryDirectory(prefix="edgeai-speech-") as folder:
        path = Path(folder) / "recording.wav"
        write_wav(path, _tiles(waveform, round(60 * minutes * SAMPLE_RATE_HZ)), SAMPLE_RATE_HZ)
        yield path


def _tiles(waveform: Waveform, n_samples: int) -> Iterator[Waveform]:
    for start in range(0, n_samples, len(waveform)):
        yield waveform[: n_samples - start]


def lines(peaks: Sequence[Peak]) -> list[str]:
    """One each."""
    return [f"{'peak resident memory, MiB':<30}{'own':>8}{'children':>10}{'sum':>8}"] + [
        f"{peak.what:<30}{peak.own_mib:>8.0f}{peak.children_mib:>10.0f}{peak.sum_mib:>8.0f}" for peak in peaks
    ]


def as_json(peaks: Sequence[Peak]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [{**peak._asdict(), "sum_mib": peak.sum_mib} for peak in peaks]
