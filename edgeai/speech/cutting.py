"""Sound into stretches of speech, as it comes, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeai.errors import AudioError
from edgeai.speech.base import MAX_WINDOW_S
from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.speech.types import Waveform

FRAME_SAMPLES = 512
"""What one probability is told of: 32 ms."""
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ

_QUIET_FRAMES = 5  # so long is the quiet place at which endless speech is cut


@dataclass(frozen=True, slots=True)
class CutOptions:
    """What speech is, and where it ends.

    Attributes:
        onset: speech begins with this probability,
        offset: and goes on until it is below this one
        hang_over_s: for so long.
        min_speech_s: what is shorter is a click, not speech.
        pad_s: of what is before and after belongs to it: consonants are quiet.
        max_s: of one stretch: Whisper wants some silence behind it in its window.
    """

    onset: float = 0.5
    offset: float = 0.35
    hang_over_s: float = 0.4
    min_speech_s: float = 0.1
    pad_s: float = 0.2
    max_s: float = MAX_WINDOW_S - 6.0


DEFAULT_OPTIONS = CutOptions()


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Somebody speaks without a longer pause.

    Attributes:
        start_s: from the beginning of the sound.
        waveform: [n_samples], 16 kHz, at most MAX_WINDOW_S long.
    """

    start_s: float
    waveform: Waveform

    @property
    def end_s(self) -> float:
        """From the beginning of the sound."""
        return self.start_s + len(self.waveform) / SAMPLE_RATE_HZ


class SpeechGate:
    """Opens when speech begins and closes when it has ended, probability by probability.

    Attributes:
        is_open: it is in speech, or in a pause that is shorter than the hang-over.
        n_since_start: frames since the speech began, where there is any: it may begin before the gate opens.
        n_quiet: frames since speech was last heard.
    """

    def __init__(self, options: CutOptions = DEFAULT_OPTIONS) -> None:
        self._options = options
        self._n_min = max(1, round(options.min_speech_s / FRAME_S))
        self._n_hang_over = max(1, round(options.hang_over_s / FRAME_S))
        self.reset()

    def reset(self) -> None:
        """Another sound begins."""
        self.is_open = False
        self.n_since_start = self.n_quiet = self._n_heard = 0

    def push(self, probability: float) -> bool:
        """Take the probability of the next frame; returns `is_open`."""
        is_speech = probability >= (self._options.offset if self.n_since_start else self._options.onset)
        if not self.n_since_start and not is_speech:
            return False
        self.n_since_start += 1
        self.n_quiet = 0 if is_speech else self.n_quiet + 1
        self._n_heard += is_speech
        if not self.is_open and self._n_heard >= self._n_min:
            self.is_open = True
        # A click is forgotten as soon as it is over; speech may pause.
        if self.n_quiet >= (self._n_hang_over if self.is_open else 2):
            self.reset()
        return self.is_open


def stretches(
    blocks: Iterable[Waveform],
    voice: Callable[[Waveform], NDArray[np.float32]],
    options: CutOptions = DEFAULT_OPTIONS,
    *,
    on_heard: Callable[[float], None] | None = None,
) -> Iterator[Stretch]:
    """Cut sound into stretches of speech; what is none is left out.

    Args:
        blocks: [n] each, of any length, 16 kHz.
        voice: the probabilities of whole frames (`vad.VoiceActivity`).
        options: what speech is, and how long a stretch may be.
        on_heard: told after each block how many seconds were heard.
    Returns:
        In their order, as soon as each has ended. Where speech goes on without a pause, they are cut where it is
        quietest.
    Raises:
        AudioError: a block has another shape.
    """
    cutter, rest, n_heard = _Cutter(options), np.zeros(0, np.float32), 0
    for block in blocks:
        if block.ndim != 1:
            raise AudioError(f"a block of shape {list(block.shape)}: expected [n_samples]; mix it down to one channel")
        n_heard += len(block)
        sound = np.concatenate([rest, block.astype(np.float32, copy=False)])
        n_whole = len(sound) // FRAME_SAMPLES * FRAME_SAMPLES
        rest = sound[n_whole:]
        yield from cutter.push(sound[:n_whole], voice(sound[:n_whole]))
        if on_heard:
            on_heard(n_heard / SAMPLE_RATE_HZ)
    if len(rest):
        last = np.pad(rest, (0, FRAME_SAMPLES - len(rest)))
        yield from cutter.push(last, voice(last))
    yield from cutter.finish(n_heard)


class _Cutter:
    """Keeps the sound of one stretch, or of the moment before one."""

    def __init__(self, options: CutOptions) -> None:
        self._gate = SpeechGate(options)
        self._n_pad = round(options.pad_s / FRAME_S)
        self._n_max = int(options.max_s / FRAME_S)
        self._frames: list[Waveform] = []
        self._first = 0  # frame's number in the sound
        self._is_open = False

    def push(self, sound: Waveform, probabilities: NDArray[np.float32]) -> Iterator[Stretch]:
        """Whole frames, and what was heard in each."""
        for frame, probability in zip(sound.reshape(-1, FRAME_SAMPLES), probabilities, strict=True):
            # A copy: a view would keep the whole block.
            self._frames.append(frame.copy())
            n_quiet = self._gate.n_quiet + 1
            was_open, self._is_open = self._is_open, self._gate.push(float(probability))
            if was_open and not self._is_open:
                yield from self._take(len(self._frames) - max(0, n_quiet - self._n_pad))
            elif self._is_open and len(self._frames) >= self._n_max:
                yield from self._take(self._quietest())
            elif not self._is_open:
                self._forget(self._gate.n_since_start + self._n_pad)

    def finish(self, n_samples: int) -> Iterator[Stretch]:
        """The end of the sound, which has so many samples."""
        if self._is_open:
            for whole in self._take(len(self._frames) - max(0, self._gate.n_quiet - self._n_pad)):
                start = round(whole.start_s * SAMPLE_RATE_HZ)
                yield Stretch(whole.start_s, whole.waveform[: n_samples - start])

    def _take(self, n_frames: int) -> Iterator[Stretch]:
        """The first frames; none where a cut has left nothing but the pause behind speech."""
        if n_frames > 0:
            yield Stretch(self._first * FRAME_S, np.concatenate(self._frames[:n_frames]))
            self._forget(len(self._frames) - n_frames)

    def _forget(self, n_kept: int) -> None:
        """Keep the last frames only."""
        n_dropped = max(0, len(self._frames) - n_kept)
        self._frames = self._frames[n_dropped:]
        self._first += n_dropped

    def _quietest(self) -> int:
        """The middle of the quietest place in the later half, in frames."""
        half = len(self._frames) // 2
        power = np.array([float(np.mean(frame**2)) for frame in self._frames[half:]])
        smooth = np.convolve(power, np.ones(_QUIET_FRAMES), mode="valid")
        return half + int(smooth.argmin()) + _QUIET_FRAMES // 2 + 1
