"""Microphones and speakers, through PortAudio. Nothing else touches sounddevice."""

from __future__ import annotations

import collections
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgeai.errors import AudioDeviceError
from edgeai.safe_text import one_line
from edgeai.speech.types import SAMPLE_RATE_HZ
from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

Kind = Literal["input", "output"]

_BLOCK_S = 0.02
_RATES_HZ = (16_000, 48_000, 44_100, 32_000, 24_000, 22_050, 8_000)
_MAX_QUEUED_S = 5.0
_MAX_WAITING_S = 0.25  # of sound that a speaker has taken and not played
_STALL_S = 5.0
_WORDS = {"input": "microphone", "output": "speaker"}


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone or a speaker.

    Attributes:
        name: as PortAudio has it; hostile text.
        kind: "input" or "output".
        host: the sound system that it belongs to.
        n_channels: at most.
        sample_rate_hz: that it prefers.
        is_default: it is taken where none is chosen.
        index: PortAudio's number.
    """

    name: str
    kind: Kind
    host: str
    n_channels: int
    sample_rate_hz: int
    is_default: bool
    index: int


def devices() -> tuple[Device, ...]:
    """All microphones and speakers, those that are taken by default first.

    Raises:
        AudioDeviceError: there is no PortAudio, or it fails.
    """
    sounddevice = _portaudio()
    try:
        hosts, found = sounddevice.query_hostapis(), sounddevice.query_devices()
        defaults = dict(zip(("input", "output"), sounddevice.default.device, strict=True))
    except sounddevice.PortAudioError as exc:
        raise AudioDeviceError(
            f"the sound system fails: {_reason(exc)}: look at it with the system's own tools"
        ) from exc
    listed = [
        Device(
            name=one_line(info["name"]),
            kind=kind,
            host=one_line(hosts[info["hostapi"]]["name"]),
            n_channels=info[f"max_{kind}_channels"],
            sample_rate_hz=int(info["default_samplerate"]),
            is_default=index == defaults[kind],
            index=index,
        )
        for kind in ("input", "output")
        for index, info in enumerate(found)
        if info[f"max_{kind}_channels"] > 0
    ]
    return tuple(sorted(listed, key=lambda device: (device.kind, not device.is_default, device.index)))


def find_device(kind: Kind, name: str | None = None) -> Device:
    """The default device, or the one whose name contains `name`.

    Raises:
        AudioDeviceError: there is none, or more than one.
    """
    known = [device for device in devices() if device.kind == kind]
    word = _WORDS[kind]
    if not known:
        raise AudioDeviceError(f"there is no {word} here: plug one in, or go on by typing; `edgeai devices` lists them")
    if name is None:
        return known[0]
    exact = [device for device in known if device.name.lower() == name.lower()]
    found = exact or [device for device in known if name.lower() in device.name.lower()]
    names = ", ".join(dict.fromkeys(repr(device.name) for device in (found or known)[:8]))
    if not found:
        raise AudioDeviceError(f"no {word} is called {one_line(name)!r}: expected a part of one of {names}")
    if len({device.name for device in found}) > 1:
        raise AudioDeviceError(f"{one_line(name)!r} is part of more than one {word}'s name: choose one of {names}")
    return found[0]


class Microphone:
    """See `edgeai.speech.base.AudioSource`: 16 kHz, whatever the device does.

    Attributes:
        device: that is listened to.
        n_dropped: blocks that nobody fetched in time.
    """

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, name: str | None = None) -> None:
        """Open a device; see find_device.

        Raises:
            AudioDeviceError: there is none, it is busy, or it does none of the usual sample rates.
        """
        self.device = find_device("input", name)
        self.n_dropped = 0
        self._blocks: collections.deque[Waveform] = collections.deque(maxlen=int(_MAX_QUEUED_S / _BLOCK_S))
        self._change = threading.Condition()
        self._is_closed = self._is_gone = False
        self._stream, rate = _opened(self.device, self._take, self._ended)
        self._resampler = Resampler(rate)

    def read(self) -> Waveform | None:
        """Wait for the next block, [n_samples]; None once it is closed.

        Raises:
            AudioDeviceError: it is gone, or gives nothing any more.
        """
        with self._change:
            came = self._change.wait_for(lambda: self._blocks or self._is_closed or self._is_gone, _STALL_S)
            if self._is_closed:
                return None
            if not self._blocks:
                how = "is gone" if came else f"has given nothing for {_STALL_S:.0f} s"
                raise AudioDeviceError(
                    f"the microphone {self.device.name!r} {how}: plug it in again, or choose another"
                )
            block = self._blocks.popleft()
        return self._resampler.push(block)

    def close(self) -> None:
        """Stop, and free the device. May be called twice, from any thread."""
        with self._change:
            was_closed, self._is_closed = self._is_closed, True
            self._change.notify_all()
        if not was_closed:
            _close(self._stream)

    def _take(self, data: Any, n_frames: int, moment: Any, status: Any) -> None:
        with self._change:
            self.n_dropped += len(self._blocks) == self._blocks.maxlen
            self._blocks.append(data[:, 0].copy())
            self._change.notify_all()

    def _ended(self) -> None:
        with self._change:
            self._is_gone = True
            self._change.notify_all()


class Speaker:
    """See `edgeai.speech.base.AudioSink`.

    Attributes:
        device: that plays.
        sample_rate_hz: of what is written.
    """

    def __init__(self, name: str | None = None, sample_rate_hz: int = 24_000) -> None:
        """Open a device; see find_device.

        Raises:
            AudioDeviceError: there is none, it is busy, or it does none of the usual sample rates.
        """
        self.device = find_device("output", name)
        self.sample_rate_hz = sample_rate_hz
        self._waiting: collections.deque[Waveform] = collections.deque()
        self._n_waiting = self._n_given = 0  # samples at the device's rate
        self._change = threading.Condition()
        self._is_gone = self._is_closed = False
        self._stream, self._rate = _opened(self.device, self._give, self._ended, sample_rate_hz)
        self._resampler = Resampler(sample_rate_hz, self._rate)

    @property
    def n_played(self) -> int:
        """Samples that were handed to the device, less what it holds back."""
        with suppress(AttributeError, TypeError):
            held = int(self._stream.latency * self._rate)
            return max(0, round((self._n_given - (held if self._n_waiting else 0)) * self.sample_rate_hz / self._rate))
        return 0

    def write(self, waveform: Waveform) -> None:
        """Play after what was written before, [n_samples]; waits while a quarter of a second is waiting.

        Raises:
            AudioDeviceError: the device is gone.
        """
        block = self._resampler.push(waveform)
        with self._change:
            self._wait(lambda: self._n_waiting <= _MAX_WAITING_S * self._rate)
            self._waiting.append(block)
            self._n_waiting += len(block)

    def stop(self) -> int:
        """Drop what has not sounded yet, at once; the samples dropped."""
        with self._change:
            n_dropped = self._n_waiting
            self._waiting.clear()
            self._n_waiting = 0
            self._resampler = Resampler(self.sample_rate_hz, self._rate)
            self._change.notify_all()
        return round(n_dropped * self.sample_rate_hz / self._rate)

    def drain(self) -> None:
        """Wait until everything has sounded, or `stop` is called.

        Raises:
            AudioDeviceError: the device is gone.
        """
        with self._change:
            rest = self._resampler.finish()
            self._resampler = Resampler(self.sample_rate_hz, self._rate)
            self._waiting.append(rest)
            self._n_waiting += len(rest)
            self._wait(lambda: self._n_waiting == 0)
        time.sleep(min(0.5, float(self._stream.latency)))

    def close(self) -> None:
        """Stop, and free the device. May be called twice."""
        self.stop()
        was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            _close(self._stream)

    def _wait(self, is_so: Any) -> None:
        n_before = -1
        while not self._change.wait_for(lambda: is_so() or self._is_gone, _STALL_S):
            if self._n_given == n_before:
                self._is_gone = True
            n_before = self._n_given
        if self._is_gone:
            raise AudioDeviceError(
                f"the speaker {self.device.name!r} is gone or plays nothing: plug it in again, or choose another"
            )

    def _give(self, data: Any, n_frames: int, moment: Any, status: Any) -> None:
        data.fill(0)
        filled = 0
        with self._change:
            while filled < n_frames and self._waiting:
                part = self._waiting.popleft()
                taken = part[: n_frames - filled]
                data[filled : filled + len(taken)] = taken[:, None]
                filled += len(taken)
                if len(taken) < len(part):
                    self._waiting.appendleft(part[len(taken) :])
            self._n_waiting -= filled
            self._n_given += filled
            self._change.notify_all()

    def _ended(self) -> None:
        with self._change:
            self._is_gone = not self._is_closed
            self._change.notify_all()


def _opened(device: Device, callback: Any, ended: Any, prefer_hz: int | None = None) -> tuple[Any, int]:
    """A running stream and its sample rate: the first that the device does."""
    sounddevice = _portaudio()
    make = sounddevice.InputStream if device.kind == "input" else sounddevice.OutputStream
    problem: Exception | None = None
    for rate in dict.fromkeys((*((prefer_hz,) if prefer_hz else ()), *_RATES_HZ, device.sample_rate_hz)):
        try:
            with _quiet_stderr():
                stream = make(
                    samplerate=rate,
                    blocksize=round(rate * _BLOCK_S),
                    device=device.index,
                    channels=1,
                    dtype="float32",
                    callback=callback,
                    finished_callback=ended,
                    latency="low",
                )
                stream.start()
            return stream, rate
        except (sounddevice.PortAudioError, ValueError) as exc:
            problem = exc
    raise AudioDeviceError(
        f"the {_WORDS[device.kind]} {device.name!r} cannot be opened ({_reason(problem)}): close what else uses it, or "
        "choose another (`edgeai devices`)"
    ) from problem


def _close(stream: Any) -> None:
    with suppress(Exception), _quiet_stderr():
        stream.close(ignore_errors=True)


def _portaudio() -> Any:
    """The bindings.

    Raises:
        AudioDeviceError: there is no PortAudio.
    """
    try:
        with _quiet_stderr():
            import sounddevice
    except (OSError, ImportError) as exc:
        raise AudioDeviceError(
            "there is no PortAudio here, so no microphone and no speaker: install it (Debian: apt install "
            "libportaudio2); typing and files work without"
        ) from exc
    return sounddevice


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """ALSA writes about every device that it does not find, from C, into whatever the terminal shows."""
    if sys.platform != "linux":
        yield
        return
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _reason(error: Exception | None) -> str:
    return one_line(str(error.args[0] if error and error.args else error))[:200]
