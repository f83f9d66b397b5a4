"""Sound and video files for tests, made by FFmpeg's libraries."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import av
import numpy as np

TONE_HZ = 440.0


def tone(seconds: float, rate: int) -> Any:
    """[n_samples] float32."""
    return (0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def wav(path: Path, samples: Any, rate: int, *, n_bits: int = 16) -> Path:
    """Samples are [n] or [n, channels], -1..1."""
    full = 2.0 ** (n_bits - 1) - 1
    ints = np.rint(np.asarray(samples, np.float64) * full).astype("<i4")
    data = (ints + 128).astype("u1").tobytes() if n_bits == 8 else _packed(ints, n_bits // 8)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if ints.ndim == 1 else ints.shape[1])
        file.setsampwidth(n_bits // 8)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def encoded(path: Path, codec: str, samples: Any, rate: int, *, with_video: bool = False) -> Path:
    """Mono samples in the container that the file's name asks for; None makes a video without sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10) if with_video else None
        audio = container.add_stream(codec, rate=rate) if samples is not None else None
        if video is not None:
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
        if audio is not None:
            audio.layout = "mono"
            _write_sound(container, audio, samples, rate)
        if video is not None:
            for number in range(10):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                frame.pts = number
                container.mux(video.encode(frame))
            container.mux(video.encode())
    return path


def _write_sound(container: Any, stream: Any, samples: Any, rate: int) -> None:
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=size)
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(stream.encode(piece))
    container.mux(stream.encode())


def _packed(ints: Any, n_bytes: int) -> bytes:
    raw = ints.reshape(-1, 1).view("u1").reshape(-1, 4)
    return bytes(raw[:, :n_bytes].tobytes())
