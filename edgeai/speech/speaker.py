"""A speaker as a sink of sound."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgeai.errors import AudioDeviceError
from edgeai.speech.device_list import find_device
from edgeai.speech.portaudio import open_stream
from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

_MAX_WAITING_S = 0.25  # of sound that was taken and not played
_MAX_LATENCY_S = 0.5
_STALL_S = 5.0


class Speaker:
    """See `edgeai.speech.base.AudioSink`.

    Attributes:
        device: that plays.
        sample_rate_hz: of what is written.
    """

    def __init__(self, name: str | None = None, sample_rate_hz: int = 24_000) -> None:
        """Open a device; see find_device.

        Raises:
            AudioDeviceError: there is none, it is in use, or it does none of the usual sample rates.
        """
        self.device = find_device("output", name)
        self.sample_rate_hz = sample_rate_hz
        self._waiting: collections.deque[Waveform] = collections.deque()
        self._n_waiting = self._n_given = 0  # samples at the device's rate
        self._change = threading.Condition()
        self._is_gone = self._is_closed = False
        self._stream = open_stream(self.device, self._give, self._ended, sample_rate_hz)
        self._rate = self._stream.rate_hz
        self._resampler = Resampler(sample_rate_hz, self._rate)

    @property
    def n_played(self) -> int:
        """Samples that were handed to the device, less what it holds back."""
        held = int(self._stream.latency_s * self._rate) if self._n_waiting else 0
        return max(0, round((self._n_given - held) * self.sample_rate_hz / self._rate))

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
        time.sleep(min(_MAX_LATENCY_S, self._stream.latency_s))

    def close(self) -> None:
        """Stop, and free the device. May be called twice, from any thread."""
        self.stop()
        with self._change:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._stream.close()

    def _wait(self, is_so: Callable[[], bool]) -> None:
        n_before = self._n_given
        while not self._change.wait_for(lambda: is_so() or self._is_gone, _STALL_S):
            if self._n_given == n_before:
                self._is_gone = True
            n_before = self._n_given
        if self._is_gone:
            raise AudioDeviceError(
                f"the speaker {self.device.name!r} is gone or plays nothing: plug it in again, or choose another "
                "(`edgeai devices`)"
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
