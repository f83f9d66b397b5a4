"""Sound that a program hands us, as a waveform: checked, mixed down to one channel, resampled to 16 kHz."""

from __future__ import annotations

import logging
import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeai.errors import AudioError
from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from edgeai.speech.types import Waveform

MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 64

_MAX_PEAK = 100.0  # far beyond any overdriven recording: these are integers in floating point
_INTEGERS = ("int8", "int16", "int32", "uint8")
_FLOATS = ("float16", "float32", "float64")
_log = logging.getLogger(__name__)


def to_waveform(audio: ArrayLike, sample_rate_hz: float) -> Waveform:
    """Any sound in memory as the waveform that is listened to.

    Args:
        audio: [n] or, as soundfile and sounddevice give it, [n, channels]; [channels, n] where there would be more
            than 64 channels else. int8, int16, int32 and uint8 (silence is 128) in their full range, or floats in
            -1..1; what lies beyond is clipped, with a warning in the log. The channels are averaged.
        sample_rate_hz: of the audio, 1,000 to 768,000.
    Returns:
        [n_samples], mono, 16 kHz, range -1..1.
    Raises:
        AudioError: another shape, type or rate, no samples at all, or one that is no number.
    """
    rate = checked_rate(sample_rate_hz)
    samples = as_floats(_array(audio))
    _check_numbers(samples, rate)
    waveform = resample(_clipped(samples).mean(axis=1, dtype=np.float32), rate)
    if not len(waveform):
        raise AudioError(f"audio of {len(samples):,} samples at {rate:,g} Hz: too short to hold any sound; give more")
    return waveform


def as_floats(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples of any type that sound has as floats, in which an integer's full range is -1..1."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / 2.0 ** (8 * samples.dtype.itemsize - 1)
    return samples


def checked_rate(sample_rate_hz: float) -> float:
    """A sample rate that can be resampled.

    Raises:
        AudioError: it is none.
    """
    is_number = isinstance(sample_rate_hz, numbers.Real) and not isinstance(sample_rate_hz, bool)
    if not is_number or not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"sample_rate_hz = {sample_rate_hz!r:.40}: expected samples a second, {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,}"
        )
    return float(sample_rate_hz)


def resample(waveform: Waveform, from_hz: float, to_hz: float = SAMPLE_RATE_HZ) -> Waveform:
    """A whole waveform at another rate, in -1..1; [n] to [about n × to_hz / from_hz].

    Raises:
        AudioError: soxr is not installed.
    """
    if from_hz == to_hz or not len(waveform):
        return np.ascontiguousarray(waveform, np.float32)
    resampled: Waveform = np.clip(soxr().resample(waveform, from_hz, to_hz, quality="HQ"), -1.0, 1.0)
    return resampled


class Resampler:
    """Resamples sound that comes block by block, as if it were one waveform."""

    def __init__(self, from_hz: float, to_hz: float = SAMPLE_RATE_HZ) -> None:
        """
        Args:
            from_hz: of what comes in, 1,000 to 768,000.
            to_hz: of what goes out, in the same range.
        Raises:
            AudioError: another rate, or soxr is not installed.
        """
        self._stream: Any = None
        if checked_rate(from_hz) != checked_rate(to_hz):
            self._stream = soxr().ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")

    def push(self, block: Waveform) -> Waveform:
        """Take the next block, [n] mono; returns what can be told by now, which is some 20 ms behind, [m]."""
        return self._resampled(block, is_last=False)

    def finish(self) -> Waveform:
        """The rest, [m]. Nothing can be pushed afterwards."""
        return self._resampled(np.zeros(0, np.float32), is_last=True)

    def _resampled(self, block: Waveform, *, is_last: bool) -> Waveform:
        block = np.ascontiguousarray(block, np.float32)
        if self._stream is None:
            return block
        resampled: Waveform = np.clip(self._stream.resample_chunk(block, last=is_last), -1.0, 1.0)
        return resampled


def soxr() -> Any:
    """The library that resamples.

    Raises:
        AudioError: it is not installed.
    """
    try:
        import soxr
    except ImportError as exc:
        raise AudioError("resampling needs soxr, which is not installed: pip install 'edgeai[speech]'") from exc
    return soxr


def _array(audio: ArrayLike) -> NDArray[Any]:
    """[n, channels], of a type that sound has."""
    try:
        array: NDArray[Any] = np.asarray(audio)
    except (ValueError, TypeError) as exc:  # lists of unequal lengths; tensors on another device
        raise AudioError(f"audio that is no array ({str(exc)[:100]}): expected [n] or [n, channels]") from exc
    if array.dtype.name not in (*_INTEGERS, *_FLOATS):
        raise AudioError(
            f"audio of type {array.dtype.name[:40]}: expected one of {', '.join((*_INTEGERS, *_FLOATS))}; convert it"
        )
    if array.ndim not in (1, 2):
        raise AudioError(f"audio of shape {list(array.shape)}: expected [n] or [n, channels]; take one recording of it")
    if not array.size:
        raise AudioError(
            f"empty audio, shape {list(array.shape)}: expected at least one sample; record some sound first"
        )
    if array.ndim == 1:
        return array[:, None]
    if array.shape[1] > MAX_CHANNELS:
        if array.shape[0] > MAX_CHANNELS:
            raise AudioError(f"audio of shape {list(array.shape)}: expected at most {MAX_CHANNELS} channels")
        return np.moveaxis(array, 0, 1)
    return array


def _check_numbers(samples: NDArray[Any], rate: float) -> None:
    """
    Raises:
        AudioError: one of [n, channels] is NaN or infinite, or they are not in -1..1 by far.
    """
    peak = float(np.abs(samples).max())  # NaN where there is one
    if not math.isfinite(peak):
        index, channel = np.argwhere(~np.isfinite(samples))[0]
        where = f", channel {channel}" if samples.shape[1] > 1 else ""
        raise AudioError(
            f"audio whose sample {index:,} ({index / rate:.3f} s{where}) is {samples[index, channel]}: expected finite "
            "numbers in -1..1; look at what made it"
        )
    if peak > _MAX_PEAK:
        raise AudioError(
            f"floating-point audio with a peak of {peak:,.6g}: expected -1..1; divide it by the full range of the "
            "integers that it was made of, like 32768"
        )


def _clipped(samples: NDArray[Any]) -> NDArray[Any]:
    """[n, channels] within -1..1."""
    n_beyond = int(np.count_nonzero(np.abs(samples) > 1.0))
    if n_beyond:
        _log.warning(
            "%s of %s audio samples lie beyond -1..1 and were clipped: lower the gain of what made them",
            f"{n_beyond:,}",
            f"{samples.size:,}",
        )
        clipped: NDArray[Any] = np.clip(samples, -1.0, 1.0)
        return clipped
    return samples
