"""A window of sound, what Whisper answered, and whether that can be trusted."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeai.speech.base import MAX_WINDOW_S
from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from edgeai.speech.types import Segment, Waveform

# The limits of Radford et al. 2022, section 4.5.
_MAX_COMPRESSION, _MIN_LOG_PROBABILITY, _MAX_NO_SPEECH = 2.4, -1.0, 0.6
_MIN_REST_S = 0.5
_MIN_HALVED_S = 6.0
_QUIET_SAMPLES = SAMPLE_RATE_HZ // 10


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to hear a window.

    Attributes:
        context_s: the encoder sees so much at least: the window, then silence.
        temperature: of sampling; 0 takes the likeliest token each time.
        enough: the mean logarithm of the tokens' probabilities from which on no other way is tried.
    """

    context_s: float
    temperature: float = 0.0
    enough: float = _MIN_LOG_PROBABILITY


ATTEMPTS = (Attempt(15.0, enough=-0.45), Attempt(MAX_WINDOW_S), Attempt(MAX_WINDOW_S, 0.4))
"""The next is tried where an answer cannot be trusted; behind a short context where it is only doubtful, too.

So 34 of 80 Japanese sentences in noise were heard twice, and 22.4 % of their characters were wrong instead of 24.7 %;
without noise it was 2 of 40. With 10 s of context instead of 15 it was 25.2 %.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Whisper said of a window.

    Attributes:
        language: ISO 639-1.
        segments: times from the beginning of the waveform that the window is of.
        text: all that was said, whether a segment has it or not.
        log_probability: mean of the tokens.
        no_speech: how probable it is that nobody speaks.
        heard_s: up to where the window was heard, from its own beginning.
    """

    language: str
    segments: tuple[Segment, ...]
    text: str
    log_probability: float
    no_speech: float
    heard_s: float

    @property
    def is_repetitive(self) -> bool:
        """It says the same again and again."""
        data = self.text.strip().encode()
        return bool(data) and len(data) / len(zlib.compress(data)) > _MAX_COMPRESSION

    @property
    def is_trusted(self) -> bool:
        """It is as probable as speech usually is, and does not repeat itself."""
        return self.log_probability >= _MIN_LOG_PROBABILITY and not self.is_repetitive

    @property
    def is_silence(self) -> bool:
        """Nobody speaks: it was made up."""
        return self.no_speech > _MAX_NO_SPEECH and not self.is_trusted


@dataclass(slots=True)
class Window:
    """A waveform, or what is left of it to be heard.

    Attributes:
        index: of the waveform.
        start_s: where in it.
        waveform: [n_samples], from there on.
        n_tried: attempts so far.
        best: the likeliest answer that does not repeat itself.
        is_repetitive: the last answer does, and more attempts are of no use.
    """

    index: int
    start_s: float
    waveform: Waveform
    n_tried: int = 0
    best: Answer | None = None
    is_repetitive: bool = False

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.waveform) / SAMPLE_RATE_HZ

    def judge(self, answer: Answer) -> bool:
        """Take an answer; returns whether that was the last attempt."""
        self.n_tried += 1
        if answer.is_silence:
            self.best = None
            return True
        is_better = self.best is None or answer.log_probability > self.best.log_probability
        if is_better and not answer.is_repetitive:
            self.best = answer
        # People repeat themselves too: whether they did is told by hearing the window's halves apart.
        self.is_repetitive = self.best is None and self.n_tried > 1 and self.duration_s >= _MIN_HALVED_S
        is_enough = answer.is_trusted and answer.log_probability >= ATTEMPTS[self.n_tried - 1].enough
        return is_enough or self.is_repetitive or self.n_tried == len(ATTEMPTS)

    def rest(self) -> list[Window]:
        """What must be heard next: what the best answer has not heard, or both halves where all repeated themselves."""
        if self.is_repetitive:
            return [self._part(0, at := self._quietest()), self._part(at, len(self.waveform))]
        if self.best is None or not 0 < self.best.heard_s <= self.duration_s - _MIN_REST_S:
            return []
        return [self._part(round(self.best.heard_s * SAMPLE_RATE_HZ), len(self.waveform))]

    def _part(self, begin: int, end: int) -> Window:
        return Window(self.index, self.start_s + begin / SAMPLE_RATE_HZ, self.waveform[begin:end])

    def _quietest(self) -> int:
        """The middle of the quietest tenth of a second around the middle."""
        begin = len(self.waveform) // 4
        power = self.waveform[begin : 3 * begin] ** 2
        n = len(power) // _QUIET_SAMPLES
        at = int(power[: n * _QUIET_SAMPLES].reshape(n, -1).sum(axis=1).argmin())
        return begin + at * _QUIET_SAMPLES + _QUIET_SAMPLES // 2
