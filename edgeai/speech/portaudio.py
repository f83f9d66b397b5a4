"""PortAudio, by way of sounddevice. Nothing else touches it."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from edgeai.errors import AudioDeviceError
from edgeai.safe_text import one_line
from edgeai.speech.device import WORDS, Device
from edgeai.speech.waveform import MAX_RATE_HZ, MIN_RATE_HZ

_BLOCK_S = {"input": 0.008, "output": 0.02}
"""Short ones from a microphone: who interrupts is heard sooner. Longer ones for a speaker: there, what comes late is
heard."""
_OPEN_S, _CLOSE_S = 10.0, 1.0
_RATES_HZ = (16_000, 48_000, 44_100, 32_000, 24_000, 22_050, 8_000)
# portaudio.h, enum PaErrorCode
_INVALID_SAMPLE_RATE, _DEVICE_UNAVAILABLE = -9997, -9985


class Stream:
    """A device that is open.

    Attributes:
        rate_hz: at which it runs.
        latency_s: of sound that the device holds.
    """

    def __init__(self, raw: Any, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.latency_s = float(raw.latency)
        self._raw = raw
        _quiet.__enter__()  # while it is open: C libraries tell of what goes wrong in a thread of their own

    def close(self) -> None:
        """Free the device. Once only.

        Where a device was unplugged while it played, PortAudio 19.6 tries to start it again for ever and cannot be
        stopped (PaAlsaStream_WaitForFrames); it is left to itself then, and to the end of the process.
        """
        with suppress(AudioDeviceError):
            _within(_CLOSE_S, lambda: self._raw.close(ignore_errors=True), "does not close")
            _quiet.__exit__(None, None, None)


def open_stream(
    device: Device, callback: Callable[..., None], ended: Callable[[], None], prefer_hz: int | None = None
) -> Stream:
    """Open a device at the first sample rate that it does, one channel of float32, and start it.

    Args:
        device: a microphone or a speaker.
        callback: takes or fills a block, as sounddevice calls it, in a thread of PortAudio's.
        ended: called when the device stops, whether it was told to or not.
        prefer_hz: the rate to try first.
    Raises:
        AudioDeviceError: it is in use, gone, or does none of the rates.
    """
    sounddevice = load_portaudio()
    make = sounddevice.InputStream if device.kind == "input" else sounddevice.OutputStream
    name = f"the {WORDS[device.kind]} {device.name!r}"

    def started(rate: int) -> Any:
        raw = make(
            samplerate=rate,
            blocksize=round(rate * _BLOCK_S[device.kind]),
            device=device.index,
            channels=1,
            dtype="float32",
            callback=callback,
            finished_callback=ended,
            latency="low",
        )
        raw.start()
        return raw

    rates = [rate for rate in (prefer_hz, *_RATES_HZ, device.sample_rate_hz) if rate is not None]
    with _quiet:
        for rate in dict.fromkeys(rate for rate in rates if MIN_RATE_HZ <= rate <= MAX_RATE_HZ):
            try:
                return Stream(_within(_OPEN_S, partial(started, rate), f"{name} does not start"), rate)
            except (sounddevice.PortAudioError, ValueError) as exc:
                if _code(exc) != _INVALID_SAMPLE_RATE:
                    raise AudioDeviceError(f"{name} {_problem(exc)}") from exc
    raise AudioDeviceError(
        f"{name} does none of the sample rates {', '.join(f'{rate:,}' for rate in sorted(_RATES_HZ))} Hz: choose "
        "another (`edgeai devices`)"
    )


def _within(seconds: float, call: Callable[[], Any], problem: str) -> Any:
    """What a call returns or raises. One that does not end, in C, where not even Ctrl-C reaches it, is left to itself.

    Raises:
        AudioDeviceError: it did not end in that time.
    """
    outcome: Future[Any] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - raised where it is waited for
            outcome.set_exception(exc)

    threading.Thread(target=work, name="edgeai-portaudio", daemon=True).start()
    try:
        return outcome.result(seconds)
    except FutureTimeoutError:
        atexit.unregister(load_portaudio()._exit_handler)  # it would wait for it as well
        raise AudioDeviceError(f"{problem}: unplug it and plug it in again, or choose another") from None


def load_portaudio() -> Any:
    """The bindings. PortAudio looks for devices when it is loaded, and not again.

    Raises:
        AudioDeviceError: there is no PortAudio, or it cannot start.
    """
    try:
        with _quiet:
            import sounddevice
    except ImportError as exc:
        raise AudioDeviceError(
            "microphones and speakers need sounddevice, which is not installed: pip install 'edgeai[speech]'; typing "
            "and files work without"
        ) from exc
    except OSError as exc:
        raise AudioDeviceError(
            "there is no PortAudio here, so no microphone and no speaker: install it (Debian: apt install "
            "libportaudio2); typing and files work without"
        ) from exc
    except Exception as exc:  # PortAudioError is a plain Exception, of the module that just failed
        raise AudioDeviceError(
            f"the sound system does not start ({reason(exc)}): look at it with its own tools"
        ) from exc
    return sounddevice


def reason(error: Exception) -> str:
    """What PortAudio says, in one line."""
    return one_line(str(error.args[0] if error.args else error)).removeprefix("Error ")[:200]


def _code(error: Exception) -> int | None:
    """Of PortAudio's error codes."""
    code = error.args[1] if len(error.args) > 1 else None
    return code if isinstance(code, int) else None


def _problem(error: Exception) -> str:
    if _code(error) == _DEVICE_UNAVAILABLE:
        return "is in use by another program: close that, or choose another (`edgeai devices`)"
    return f"cannot be opened ({reason(error)}): see that it is plugged in, or choose another (`edgeai devices`)"


class _Quiet:
    """What C libraries write to stderr goes nowhere while this is entered, by how many threads ever.

    ALSA writes about every device that it does not find, PortAudio about every error, into whatever the terminal
    shows. File descriptor 2 is left alone: a program that draws on the terminal may draw through it. `stderr` is a
    variable that may be set in the GNU C library (its manual, "Standard Streams"); elsewhere nothing is done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_entered = 0
        self._kept: int | None = None
        self._nowhere: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._n_entered += 1
            if self._n_entered == 1 and (stderr := self._variable()) is not None:
                self._kept, stderr.value = stderr.value, self._nowhere

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._n_entered -= 1
            if not self._n_entered and (stderr := self._variable()) is not None:
                stderr.value = self._kept

    def _variable(self) -> ctypes.c_void_p | None:
        if sys.platform != "linux" or "CS_GNU_LIBC_VERSION" not in os.confstr_names:
            return None
        libc = ctypes.CDLL(None)
        if self._nowhere is None:
            libc.fopen.restype = ctypes.c_void_p
            self._nowhere = libc.fopen(os.devnull.encode(), b"w")
        return ctypes.c_void_p.in_dll(libc, "stderr") if self._nowhere else None


_quiet = _Quiet()
