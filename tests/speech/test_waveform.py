"""Sound that programs hand us: any type, rate and shape, or one line that says what is wrong."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from edgeai import AudioError
from edgeai.speech.waveform import Resampler, to_waveform
from tests.speech.sound_files import tone

TYPES: dict[str, tuple[float, float]] = {
    "int8": (127, 0),
    "int16": (32767, 0),
    "int32": (2**31 - 1, 0),
    "uint8": (127, 128),
    "float64": (1, 0),
}


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_of_sample_has_the_same_range(dtype: str) -> None:
    factor, zero = TYPES[dtype]
    samples = (tone(0.5, 16_000).astype(np.float64) * factor + zero).astype(dtype)
    waveform = to_waveform(samples, 16_000)
    assert waveform.dtype == np.float32
    assert np.abs(waveform - tone(0.5, 16_000)).max() < 0.02


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 192_000])
def test_every_rate_keeps_the_tone_and_its_length(rate: int) -> None:
    waveform = to_waveform(tone(1, rate), rate)
    expected = tone(1, 16_000)
    assert abs(len(waveform) - 16_000) <= 1
    n = min(len(waveform), 16_000)
    assert np.abs(waveform[500 : n - 500] - expected[500 : n - 500]).max() < 0.01


def test_channels_are_averaged_whichever_way_they_lie() -> None:
    left, right = tone(0.2, 16_000), np.zeros(3_200, np.float32)
    for samples in (np.stack([left, right], axis=1), np.stack([left, right], axis=0)):
        assert np.allclose(to_waveform(samples, 16_000), left / 2, atol=1e-6)


def test_blocks_are_resampled_as_one_sound() -> None:
    sound, resampler = tone(1, 44_100), Resampler(44_100)
    parts = [resampler.push(sound[start : start + 1_000]) for start in range(0, len(sound), 1_000)]
    streamed = np.concatenate([*parts, resampler.finish()])
    whole = to_waveform(sound, 44_100)
    n = min(len(streamed), len(whole))
    assert abs(len(streamed) - len(whole)) <= 1
    assert np.abs(streamed[:n] - whole[:n]).max() < 1e-3


def test_what_is_beyond_the_range_is_clipped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        waveform = to_waveform(2 * tone(0.1, 16_000) + 0.5, 16_000)
    assert waveform.max() == 1
    assert "clipped" in caplog.text


BAD: dict[str, tuple[Any, Any, str]] = {
    "NaN": (np.array([0.0, 0.1, np.nan], np.float32), 16_000, "sample 2"),
    "infinite": (np.array([0.0, np.inf], np.float32), 16_000, "sample 1"),
    "empty": (np.zeros(0, np.float32), 16_000, "empty"),
    "words": (np.array(["a"]), 16_000, "type"),
    "complex": (np.zeros(4, np.complex64), 16_000, "type"),
    "a cube": (np.zeros((2, 2, 2), np.float32), 16_000, "shape"),
    "a ragged list": ([[1.0], [1.0, 2.0]], 16_000, "no array"),
    "integers as floats": (tone(0.1, 16_000) * 32_768, 16_000, "divide"),
    "no rate": (tone(0.1, 16_000), 0, "sample_rate_hz"),
    "a rate of words": (tone(0.1, 16_000), "16000", "sample_rate_hz"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_sound_is_one_line(name: str) -> None:
    samples, rate, words = BAD[name]
    with pytest.raises(AudioError, match=words) as caught:
        to_waveform(samples, rate)
    assert "\n" not in str(caught.value)
