"""Speech to text, for sound of any length in constant memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from edgeai.speech.base import Recognized, Recognizer
from edgeai.speech.cutting import Stretch, stretches
from edgeai.speech.packing import Packed, packed
from edgeai.speech.types import SAMPLE_RATE_HZ, Segment, Transcript
from edgeai.speech.vad import VoiceActivity
from edgeai.speech.waveform import to_waveform

if TYPE_CHECKING:
    from edgeai.speech.transcribe_journal import TranscriptJournal
    from edgeai.speech.types import Waveform

_BATCH = 4
"""Windows that are heard at once. More are no quicker on a CPU, and take memory."""
_BLOCK_S = 10
_MIN_DETECT_S = 2.0
"""What is shorter may not tell its language, and has that of what was before.

Whisper base told English from Japanese in all of 38 sentences of 1.5 to 3.2 s, half of them in noise, and in 17 of 18
shorter ones. In the other language it makes up a sentence.
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """A part of a sound, heard to its end.

    Attributes:
        segments: what is said in it, times from the recording's beginning.
        until_s: nothing before this is left to hear.
    """

    segments: tuple[Segment, ...]
    until_s: float


def transcribe(
    sound: Iterable[Waveform] | Waveform,
    recognizer: Recognizer,
    language: str = "auto",
    *,
    with_words: bool = False,
    on_progress: Callable[[float], None] | None = None,
    on_segment: Callable[[Segment], None] | None = None,
    journal: TranscriptJournal | None = None,
    voice: VoiceActivity | None = None,
) -> Transcript:
    """Transcribe a whole sound.

    Args:
        sound: blocks of [n_samples], or one waveform; 16 kHz. With a journal it begins at `journal.until_s`.
        recognizer: that hears it.
        language: ISO 639-1, or "auto" to find it out, window by window.
        with_words: with the times of words.
        on_progress: told how many seconds of the recording are done.
        on_segment: told of each segment, those of the journal first.
        journal: keeps each part as soon as it is heard. It is not removed.
        voice: tells where speech is; loaded where none is given.
    Raises:
        OptionError: the recognizer does not know the language, or the extra `speech` is not installed.
        AudioError: it is no sound.
    """
    start_s = journal.until_s if journal else 0.0
    segments = list(journal.segments) if journal else []
    tell = on_segment or (lambda _segment: None)
    for segment in segments:
        tell(segment)
    counted = _Counted(_blocks(sound))
    parts = hear(
        counted, recognizer, language, with_words=with_words, start_s=start_s, on_progress=on_progress, voice=voice
    )
    for part in parts:
        segments += part.segments
        if journal:
            journal.put(part.segments, part.until_s)
        for segment in part.segments:
            tell(segment)
    duration_s = start_s + counted.n_samples / SAMPLE_RATE_HZ
    if on_progress:
        on_progress(duration_s)
    return transcript_of(segments, duration_s)


def hear(
    sound: Iterable[Waveform],
    recognizer: Recognizer,
    language: str = "auto",
    *,
    with_words: bool = False,
    start_s: float = 0.0,
    on_progress: Callable[[float], None] | None = None,
    voice: VoiceActivity | None = None,
) -> Iterator[Heard]:
    """Transcribe part after part; see `transcribe`. `start_s` is where the sound begins in the recording."""
    voice = voice or VoiceActivity()
    voice.reset()
    progress = _Progress(on_progress, start_s)
    windows = packed(progress.passing(stretches(sound, voice, on_heard=progress.listened)))
    pool = ThreadPoolExecutor(recognizer.n_workers)
    hearing = _Hearing(recognizer, None if language == "auto" else language, pool, with_words=with_words)
    try:
        for batch, found in hearing.in_order(windows):
            segments = [
                _shifted(window.moved(segment), start_s)
                for window, recognized in zip(batch, found, strict=True)
                for segment in recognized.segments
            ]
            yield Heard(tuple(segments), start_s + batch[-1].end_s)
            progress.recognized(batch[-1].end_s)
    finally:
        pool.shutdown(cancel_futures=True)


def transcript_of(segments: Sequence[Segment], duration_s: float) -> Transcript:
    """The transcript that segments make."""
    spoken = Counter[str]()
    for segment in segments:
        spoken[segment.language] += len(segment.text)
    language = spoken.most_common(1)[0][0] if spoken else ""
    pieces: list[str] = []
    for segment in segments:
        if pieces and not _is_unspaced(pieces[-1][-1:], segment.text[:1]):
            pieces.append(" ")
        pieces.append(segment.text)
    return Transcript("".join(pieces), language, tuple(segments), duration_s)


class _Hearing:
    """Windows on their way through a recognizer: some batches are heard at once, while the next one is listened for."""

    def __init__(
        self, recognizer: Recognizer, language: str | None, pool: ThreadPoolExecutor, *, with_words: bool
    ) -> None:
        self._recognizer, self._language, self._pool, self._with_words = recognizer, language, pool, with_words
        self._last: str | None = None  # language that was spoken
        self._waiting: deque[tuple[list[Packed], Future[list[Recognized]]]] = deque()

    def in_order(self, windows: Iterator[Packed]) -> Iterator[tuple[list[Packed], list[Recognized]]]:
        """Batches of windows, and what is heard in each window."""
        while batch := list(islice(windows, _BATCH)):
            if self._language is None and any(map(_is_short, batch)):  # their language is that of what was before
                yield from self._heard(0)
            self._waiting.append((batch, self._pool.submit(self._recognize, batch, self._last)))
            yield from self._heard(self._recognizer.n_workers)
        yield from self._heard(0)

    def _heard(self, n_left: int) -> Iterator[tuple[list[Packed], list[Recognized]]]:
        while len(self._waiting) > n_left:
            batch, future = self._waiting.popleft()
            found = future.result()
            self._last = next((each.language for each in reversed(found) if each.segments), self._last)
            yield batch, found

    def _recognize(self, batch: Sequence[Packed], last: str | None) -> list[Recognized]:
        """What is heard in each window. Where no language is given, short ones have that of what was said before."""
        hear, with_words = self._recognizer.recognize, self._with_words
        if self._language is not None:
            return hear([window.waveform for window in batch], self._language, with_words=with_words)
        long = [at for at, window in enumerate(batch) if not _is_short(window)]
        short = [at for at in range(len(batch)) if at not in long]
        found: dict[int, Recognized] = {}
        if long:
            heard = hear([batch[at].waveform for at in long], None, with_words=with_words)
            found.update(zip(long, heard, strict=True))
            last = last or next((each.language for each in heard if each.segments), None)
        if short:
            heard = hear([batch[at].waveform for at in short], last, with_words=with_words)
            found.update(zip(short, heard, strict=True))
        return [found[at] for at in range(len(batch))]


def _is_short(window: Packed) -> bool:
    """Whether it may not tell its language."""
    return len(window.waveform) < _MIN_DETECT_S * SAMPLE_RATE_HZ


class _Progress:
    """Tells how far it is: what is listened to counts while nothing waits to be recognized."""

    def __init__(self, tell: Callable[[float], None] | None, start_s: float) -> None:
        self._tell = tell or (lambda _seconds: None)
        self._start_s = start_s
        self._waits = False

    def passing(self, found: Iterable[Stretch]) -> Iterator[Stretch]:
        """Stretches on their way to the recognizer."""
        for stretch in found:
            self._waits = True
            yield stretch

    def listened(self, seconds: float) -> None:
        if not self._waits:
            self._tell(self._start_s + seconds)

    def recognized(self, seconds: float) -> None:
        self._waits = False
        self._tell(self._start_s + seconds)


class _Counted:
    """Counts the samples that go by."""

    def __init__(self, sound: Iterable[Waveform]) -> None:
        self._sound = sound
        self.n_samples = 0

    def __iter__(self) -> Iterator[Waveform]:
        for block in self._sound:
            self.n_samples += len(block)
            yield block


def _blocks(sound: Iterable[Waveform] | Waveform) -> Iterable[Waveform]:
    if not isinstance(sound, np.ndarray):
        return sound
    waveform, step = to_waveform(sound, SAMPLE_RATE_HZ), _BLOCK_S * SAMPLE_RATE_HZ
    return (waveform[at : at + step] for at in range(0, len(waveform), step))


def _shifted(segment: Segment, by_s: float) -> Segment:
    if not by_s:
        return segment
    words = tuple(replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s) for word in segment.words)
    return replace(segment, start_s=segment.start_s + by_s, end_s=segment.end_s + by_s, words=words)


def _is_unspaced(before: str, after: str) -> bool:
    """Whether no space stands between these letters: Japanese and Chinese."""
    return all("\u3000" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uff60" for letter in (before, after))
