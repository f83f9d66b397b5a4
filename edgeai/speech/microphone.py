"""A microphone as a source of sound."""

from __future__ import annotations

import collections
import threading
from typing import TYPE_CHECKING, Any

from edgeai.errors import AudioDeviceError
from edgeai.speech.device_list import find_device
from edgeai.speech.portaudio import open_stream
from edgeai.speech.types import SAMPLE_RATE_HZ
from edgeai.speech.waveform import Resampler

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

_MAX_QUEUED = 625
"""Blocks, which are five seconds."""
_STALL_S = 5.0


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
            AudioDeviceError: there is none, it is in use, or it does none of the usual sample rates.
        """
        self.device = find_device("input", name)
        self.n_dropped = 0
        self._blocks: collections.deque[Waveform] = collections.deque(maxlen=_MAX_QUEUED)
        self._change = threading.Condition()
        self._is_closed = self._is_gone = False
        self._stream = open_stream(self.device, self._take, self._ended)
        self._resampler = Resampler(self._stream.rate_hz)

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
                    f"the microphone {self.device.name!r} {how}: plug it in again, or choose another (`edgeai devices`)"
                )
            block = self._blocks.popleft()
        return self._resampler.push(block)

    def close(self) -> None:
        """Stop, and free the device. May be called twice, from any thread."""
        with self._change:
            was_closed, self._is_closed = self._is_closed, True
            self._change.notify_all()
        if not was_closed:
            self._stream.close()

    def _take(self, data: Any, n_frames: int, moment: Any, status: Any) -> None:
        with self._change:
            self.n_dropped += len(self._blocks) == self._blocks.maxlen
            self._blocks.append(data[:, 0].copy())
            self._change.notify_all()

    def _ended(self) -> None:
        with self._change:
            self._is_gone = True
            self._change.notify_all()
