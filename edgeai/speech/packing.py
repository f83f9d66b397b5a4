"""Stretches of speech put together into windows, and the times of a window told as times of the sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgeai.speech.types import SAMPLE_RATE_HZ, Segment, Word

if TYPE_CHECKING:
    from edgeai.speech.cutting import Stretch
    from edgeai.speech.types import Waveform

# Measured with Whisper base on 3 min of sentences: windows of up to 15 s with this pause between stretches are as quick
# as windows of 30 s, and give a segment for each sentence; without the pause 6 % of the words are lost at the ends.
PAUSE_S = 0.6
PACKED_S = 15.0
MAX_GAP_S = 5.0  # behind a longer pause somebody else may speak, in another language
_LOOSE_S = (
    0.3  # a recognizer puts the end of a sentence that much too far into the next stretch, or its beginning too early
)


@dataclass(frozen=True, slots=True)
class Packed:
    """A window: stretches in their order, with a pause after each."""

    stretches: tuple[Stretch, ...]

    @property
    def waveform(self) -> Waveform:
        """[n_samples], 16 kHz."""
        pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
        pieces = [piece for stretch in self.stretches for piece in (stretch.waveform, pause)]
        return np.concatenate(pieces[:-1])

    @property
    def end_s(self) -> float:
        """Where the sound is heard up to."""
        return self.stretches[-1].end_s

    def moved(self, segment: Segment) -> Segment:
        """A segment of the window, with the times of the sound."""
        words = tuple(self._moved_word(word) for word in segment.words)
        start_s, end_s = self._span(segment.start_s, segment.end_s)
        return replace(segment, start_s=start_s, end_s=end_s, words=words)

    def _moved_word(self, word: Word) -> Word:
        start_s, end_s = self._span(word.start_s, word.end_s)
        return replace(word, start_s=start_s, end_s=end_s)

    def _span(self, start_s: float, end_s: float) -> tuple[float, float]:
        """What begins in a pause is said after it; what ends in one, before."""
        placed = self._placed()
        begin_s = next(
            (
                found.start_s + max(0.0, start_s - at_s)
                for at_s, found in placed
                if start_s + _LOOSE_S < at_s + _length_s(found)
            ),
            self.end_s,
        )
        at_s, found = next((each for each in reversed(placed) if end_s - _LOOSE_S > each[0]), placed[0])
        return begin_s, max(begin_s, min(found.end_s, found.start_s + end_s - at_s))

    def _placed(self) -> list[tuple[float, Stretch]]:
        """Where each stretch begins in the window."""
        placed: list[tuple[float, Stretch]] = []
        at_s = 0.0
        for stretch in self.stretches:
            placed.append((at_s, stretch))
            at_s += _length_s(stretch) + PAUSE_S
        return placed


def _length_s(stretch: Stretch) -> float:
    return len(stretch.waveform) / SAMPLE_RATE_HZ


def packed(found: Iterable[Stretch], max_s: float = PACKED_S) -> Iterator[Packed]:
    """Put neighbouring stretches together while they fit: a recognizer has more to go by, and less to do.

    Args:
        found: in their order; one that is longer than max_s is a window of its own.
        max_s: of a window.
    """
    window: list[Stretch] = []
    length_s = 0.0
    for stretch in found:
        added_s = _length_s(stretch)
        is_apart = window and stretch.start_s - window[-1].end_s > MAX_GAP_S
        if window and (is_apart or length_s + PAUSE_S + added_s > max_s):
            yield Packed(tuple(window))
            window, length_s = [], 0.0
        length_s += added_s + (PAUSE_S if window else 0.0)
        window.append(stretch)
    if window:
        yield Packed(tuple(window))
