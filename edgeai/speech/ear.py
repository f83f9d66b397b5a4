"""An ear: sound goes in, and what comes out is that somebody begins to speak, pauses, goes on, has finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgeai.speech.base import MAX_WINDOW_S
from edgeai.speech.cutting import FRAME_S, FRAME_SAMPLES, CutOptions, SpeechGate
from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.speech.types import Waveform

TURN_OPTIONS = CutOptions(onset=0.35, hang_over_s=0.5, min_speech_s=0.064, pad_s=0.25)
"""A turn ends after half a second of silence: people pause for less within a sentence.

It begins with two frames, less sure ones than where files are cut, so that who interrupts is not spoken over: 40
sentences were noticed after 84 to 86 ms in the middle and 172 at most, with the other onset after 90 to 110 and 204.
Noises, tones and clicks still were no speech.
"""
_PAUSE_FRAMES = 6
"""After so much silence what was said may be all: it can be transcribed while the hang-over runs on."""
_PARTIAL_FRAMES = round(1.0 / FRAME_S)
_MAX_FRAMES = int(MAX_WINDOW_S / FRAME_S)

HearingKind = Literal["began", "partial", "paused", "ended"]


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """What an ear has heard.

    Attributes:
        kind: "began": somebody speaks. "partial": and goes on, a second more. "paused": is silent, maybe for good.
            "ended": has finished.
        utterance: number of the utterance, from 1.
        waveform: [n_samples], 16 kHz: what was said of it so far; empty for "began".
        n_spoken: of its samples, those up to the end of speech; silence is behind them.
    """

    kind: HearingKind
    utterance: int
    waveform: Waveform
    n_spoken: int = 0

    @property
    def silence_s(self) -> float:
        """At its end, which has been waited out already."""
        return (len(self.waveform) - self.n_spoken) / SAMPLE_RATE_HZ


class Ear:
    """Cuts sound that comes block by block into utterances. An utterance of half a minute ends whether or not."""

    def __init__(self, activity: Callable[[Waveform], NDArray[np.float32]], options: CutOptions = TURN_OPTIONS) -> None:
        """
        Args:
            activity: the probability of speech in whole frames (`VoiceActivity`).
            options: when speech begins and ends.
        """
        self._activity = activity
        self._options = options
        self._gate = SpeechGate(options)
        self._before: deque[Waveform] = deque(maxlen=round((options.pad_s + options.min_speech_s) / FRAME_S) + 1)
        self._frames: list[Waveform] = []
        self._rest = np.zeros(0, np.float32)
        self._n_utterances = self._n_spoken = 0

    @property
    def is_in_speech(self) -> bool:
        """Somebody speaks, or has only just stopped."""
        return self._gate.is_open

    def push(self, block: Waveform) -> Iterator[Hearing]:
        """Take the next block, [n_samples], 16 kHz."""
        sound = np.concatenate([self._rest, block])
        n_whole = len(sound) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = sound[n_whole:]
        for start, probability in zip(range(0, n_whole, FRAME_SAMPLES), self._activity(sound[:n_whole]), strict=True):
            yield from self._take(sound[start : start + FRAME_SAMPLES], float(probability))

    def finish(self) -> Iterator[Hearing]:
        """The sound has ended."""
        if self._gate.is_open:
            yield self._ended()

    def forget(self) -> None:
        """What was heard so far is of no concern."""
        self._gate.reset()
        self._frames.clear()
        self._before.clear()

    def _take(self, frame: Waveform, probability: float) -> Iterator[Hearing]:
        was_open = self._gate.is_open
        is_open = self._gate.push(probability)
        if not was_open and not is_open:
            self._before.append(frame)
            return
        if not was_open:
            self._n_utterances += 1
            self._frames = [*self._before, frame]
            self._n_spoken = len(self._frames)
            self._before.clear()
            yield Hearing("began", self._n_utterances, np.zeros(0, np.float32))
            return
        self._frames.append(frame)
        if is_open and not self._gate.n_quiet:
            self._n_spoken = len(self._frames)
        if not is_open or len(self._frames) >= _MAX_FRAMES:
            yield self._ended()
        elif self._gate.n_quiet == _PAUSE_FRAMES:
            yield self._hearing("paused")
        elif len(self._frames) % _PARTIAL_FRAMES == 0 and not self._gate.n_quiet:
            yield self._hearing("partial")

    def _ended(self) -> Hearing:
        hearing = self._hearing("ended")
        self.forget()
        return hearing

    def _hearing(self, kind: HearingKind) -> Hearing:
        return Hearing(kind, self._n_utterances, np.concatenate(self._frames), self._n_spoken * FRAME_SAMPLES)
