"""How long hearing takes: one sentence against the engine called bare, a long recording against faster-whisper."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.speech_audio import LANGUAGES, around, recording, sentences, spoken, voices
from benchmarks.speech_errors import RATES, errors
from benchmarks.speech_hearers import (
    BARE,
    BARE_SHORT,
    FASTER,
    FASTER_BATCHED,
    FASTER_VAD,
    OURS,
    OURS_LONG,
    Answer,
    Hearer,
    hearers,
)
from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

SHORT = (OURS, BARE_SHORT, BARE)
LONG = (OURS_LONG, FASTER, FASTER_VAD, FASTER_BATCHED)
_SETTLE_S = 0.3


class Timed(NamedTuple):
    """What one contender took for the same sound, round by round, and its errors.

    Attributes:
        rtf: wall seconds a second of sound.
        error_percent: words of English, characters of Japanese.
    """

    contender: str
    rtf: list[float]
    error_percent: float


def measure(n_rounds: int, n_sentences: int, n_threads: int, long_s: float) -> dict[str, Any]:
    """Both kinds of sound in both languages."""
    found: dict[str, Any] = {"short": {}, "long": {}}
    with hearers(SHORT, n_threads) as contenders:
        for language in LANGUAGES:
            found["short"][language] = short(contenders, language, n_sentences, n_rounds)
    with hearers(LONG, n_threads) as contenders:
        for language in LANGUAGES:
            found["long"][language] = long(contenders, language, long_s, (n_rounds + 1) // 2)
    return found


def short(contenders: dict[str, Hearer], language: str, n_sentences: int, n_rounds: int) -> list[Timed]:
    """Sentences, one after the other; each is heard by all before the next."""
    chosen = sentences(language, n_sentences)
    read = [around(spoken(voices(language)[0], sentence.spoken)) for sentence in chosen]
    seconds: dict[str, list[float]] = {name: [0.0] * n_rounds for name in contenders}
    texts: dict[str, list[str]] = {name: [] for name in contenders}
    for hear in contenders.values():
        hear(read[0], language)  # warms up
    for round_ in range(n_rounds):
        for waveform in read:
            for name, hear in contenders.items():
                answer = _settled(hear, waveform, language)
                seconds[name][round_] += answer.seconds
                texts[name].append(answer.text)
    duration_s = sum(map(len, read)) / SAMPLE_RATE_HZ
    references = [sentence.reference for sentence in chosen] * n_rounds
    return [
        Timed(name, [each / duration_s for each in seconds[name]], _percent(language, references, texts[name]))
        for name in contenders
    ]


def long(contenders: dict[str, Hearer], language: str, duration_s: float, n_rounds: int) -> list[Timed]:
    """One recording, heard by all in turn."""
    waveform, reference = recording(language, duration_s)
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    warm_up = waveform[: 20 * SAMPLE_RATE_HZ]
    for hear in contenders.values():
        hear(warm_up, language)
    answers: dict[str, list[Answer]] = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, hear in contenders.items():
            answers[name].append(_settled(hear, waveform, language))
    return [
        Timed(name, [a.seconds / duration_s for a in found], _percent(language, [reference], [found[0].text]))
        for name, found in answers.items()
    ]


def _settled(hear: Hearer, waveform: Waveform, language: str) -> Answer:
    time.sleep(_SETTLE_S)  # the last one's threads stop spinning
    return hear(waveform, language)


def _percent(language: str, references: Sequence[str], texts: Sequence[str]) -> float:
    n_units, n_errors = errors(language, references, texts)
    return 100 * n_errors / n_units


def table(timed: Sequence[Timed], language: str) -> list[str]:
    """Medians; the ratio is the median of those within each round, over 1 where the other one is slower."""
    ours = timed[0]
    lines = [f"  {'':<28}{'RTF':>8}{'this / ours':>13}{RATES[language] + ' %':>10}"]
    for each in timed:
        ratio = statistics.median(theirs / mine for mine, theirs in zip(ours.rtf, each.rtf, strict=True))
        shown = f"{ratio:.3f}" if each is not ours else ""
        lines.append(f"  {each.contender:<28}{statistics.median(each.rtf):>8.4f}{shown:>13}{each.error_percent:>10.2f}")
    return lines


def lines(found: dict[str, Any], long_s: float) -> list[str]:
    """All tables."""
    shown: list[str] = []
    for language in LANGUAGES:
        shown += [f"one sentence at a time, {language}:", *table(found["short"][language], language)]
    for language in LANGUAGES:
        shown += [f"a recording of {long_s:.0f} s, {language}:", *table(found["long"][language], language)]
    return shown


def as_json(found: dict[str, Any]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        kind: {language: [each._asdict() for each in timed] for language, timed in of_kind.items()}
        for kind, of_kind in found.items()
    }
