"""Sound as Whisper sees it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.speech.types import Waveform

FRAMES_PER_S = 100
HOP_SAMPLES = SAMPLE_RATE_HZ // FRAMES_PER_S
_N_FFT = 400
_QUIETEST = 1e-10
_RANGE = 8.0  # in powers of ten below the loudest


def log_mel(waveform: Waveform, n_frames: int, n_mels: int = 80) -> NDArray[np.float32]:
    """Log-mel features as Whisper computes them, followed by zeros.

    Zeros are no silence, they are grey: between a quiet and a loud sound. faster-whisper pads so, and in noise Whisper
    then hears markedly better than before an edge to deep silence (`python -m benchmarks.speech --only errors`).

    Args:
        waveform: [n_samples], mono, 16 kHz, range -1..1; what exceeds n_frames is left out.
        n_frames: how many to give.
        n_mels: 80, or 128 for the largest models.
    Returns:
        [n_mels, n_frames], one frame each 10 ms.
    Source: Radford et al. 2022, section 2.2; the floor and the scale as in openai/whisper, whisper/audio.py.
    """
    samples = waveform[: n_frames * HOP_SAMPLES]
    n_heard = min(n_frames, (len(samples) + HOP_SAMPLES) // HOP_SAMPLES)
    ends = _N_FFT // 2
    padded = np.pad(samples, (0, n_heard * HOP_SAMPLES + _N_FFT - len(samples)))  # zeros, then mirrored as a whole
    padded = np.pad(padded, (ends, 0), mode="reflect")
    rows = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[: n_heard * HOP_SAMPLES : HOP_SAMPLES]
    spectrum = np.fft.rfft(rows * _window(), axis=1)  # [n_heard, 201]
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    log = np.log10(np.maximum(power @ _filters(n_mels).T, _QUIETEST))  # [n_heard, n_mels]
    floor = max(float(log.max()) - _RANGE, float(np.log10(_QUIETEST)))
    features = np.zeros((n_mels, n_frames), np.float32)
    features[:, :n_heard] = (np.maximum(log, floor).T + 4.0) / 4.0
    return features


@cache
def _window() -> NDArray[np.float32]:
    """Hann's, periodic."""
    window: NDArray[np.float32] = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    return window


@cache
def _filters(n_mels: int) -> NDArray[np.float32]:
    """[n_mels, 201] triangles on Slaney's mel scale, of equal area (librosa's default)."""
    bins = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE_HZ)
    corners = _hz(np.linspace(0.0, _mel(SAMPLE_RATE_HZ / 2), n_mels + 2))
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
    filters: NDArray[np.float32] = triangles.astype(np.float32)
    return filters


_LINEAR_HZ = 200.0 / 3  # a mel, up to 1 kHz, which is 15; above, each is a factor of 6.4 ** (1 / 27)
_STEP = np.log(6.4) / 27.0


def _mel(hz: float) -> float:
    return hz / _LINEAR_HZ if hz < 1000 else 15.0 + float(np.log(hz / 1000)) / float(_STEP)


def _hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15.0, mels * _LINEAR_HZ, 1000.0 * np.exp(_STEP * (mels - 15.0)))
