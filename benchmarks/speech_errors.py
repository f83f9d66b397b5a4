"""Word error rate of English and character error rate of Japanese, ours and faster-whisper's, on the same sound."""

from __future__ import annotations

import importlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from benchmarks.speech_audio import CONDITIONS, LANGUAGES, Utterance, utterances
from benchmarks.speech_hearers import FASTER, OURS, OURS_LONG, Hearer, hearers

CONTENDERS = (OURS, OURS_LONG, FASTER)
RATES = {"en": "WER", "ja": "CER"}
NORMALIZATION = (
    "English: words, after Whisper's English normalizer (whisper-normalizer). Japanese: characters, after NFKC, "
    "without punctuation, symbols and spaces."
)


class Heard(NamedTuple):
    """One utterance as one contender has heard it."""

    language: str
    voice: str
    condition: str
    contender: str
    reference: str
    text: str


class Row(NamedTuple):
    """A line of the table: how many units were said, and how many errors each contender made."""

    language: str
    voice: str
    condition: str
    n_units: int
    n_errors: dict[str, int]

    def rate(self, contender: str) -> float:
        """In percent."""
        return 100 * self.n_errors[contender] / self.n_units

    def points(self, contender: str) -> float:
        """How many points above faster-whisper."""
        return self.rate(contender) - self.rate(FASTER)


def measure(n_sentences: int, n_threads: int) -> list[Heard]:
    """Every contender hears every utterance, in turn."""
    with hearers(CONTENDERS, n_threads) as contenders:
        return heard(utterances(n_sentences), contenders)


def heard(spoken: Iterable[Utterance], contenders: dict[str, Hearer]) -> list[Heard]:
    """What each makes of each utterance."""
    return [
        Heard(*utterance[:3], name, utterance.reference, hear(utterance.waveform, utterance.language).text)
        for utterance in spoken
        for name, hear in contenders.items()
    ]


def rows(records: Sequence[Heard]) -> list[Row]:
    """One for each voice and condition, and one for all of a language."""
    keys = dict.fromkeys((record.language, record.voice, record.condition) for record in records)
    found: list[Row] = []
    for language in LANGUAGES:
        of_language = [record for record in records if record.language == language]
        found += [
            _row(key, [record for record in of_language if record[:3] == key]) for key in keys if key[0] == language
        ]
        for condition in CONDITIONS:
            if some := [record for record in of_language if record.condition == condition]:
                found.append(_row((language, "both voices", condition), some))
        if of_language:
            found.append(_row((language, "both voices", "both"), of_language))
    return found


def _row(key: tuple[str, str, str], records: Sequence[Heard]) -> Row:
    counted: dict[str, tuple[int, int]] = {}
    for name in dict.fromkeys(record.contender for record in records):
        mine = [record for record in records if record.contender == name]
        counted[name] = errors(key[0], [record.reference for record in mine], [record.text for record in mine])
    n_units = next(iter(counted.values()))[0]
    return Row(*key, n_units, {name: n for name, (_, n) in counted.items()})


def errors(language: str, references: Sequence[str], texts: Sequence[str]) -> tuple[int, int]:
    """How many words (English) or characters (Japanese) were said, and how many errors were made in hearing them."""
    import jiwer

    process: Any = jiwer.process_characters if language == "ja" else jiwer.process_words
    even = normalizer(language)
    counts = process([even(text) for text in references], [even(text) for text in texts])
    n_missed = counts.substitutions + counts.deletions
    return counts.hits + n_missed, n_missed + counts.insertions


@cache
def normalizer(language: str) -> Callable[[str], str]:
    """What makes texts of a language comparable."""
    if language == "ja":
        return _even_japanese
    try:
        english = importlib.import_module("whisper_normalizer.english")
    except ImportError as exc:
        raise SystemExit(f"scoring English needs whisper-normalizer ({exc}): pip install whisper-normalizer") from exc
    even: Callable[[str], str] = english.EnglishTextNormalizer()
    return even


def _even_japanese(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(letter for letter in folded if unicodedata.category(letter)[0] not in "PSZC")


def interval(records: Sequence[Heard], contender: str, n_draws: int = 2000) -> tuple[float, float]:
    """Between which points above faster-whisper the truth lies in 95 of 100 draws of as many utterances.

    Args:
        records: of one language.
        contender: that is compared.
        n_draws: seeded, with replacement; an utterance is drawn with what both have heard in it.
    """
    language = records[0].language
    counted = {
        name: np.array([errors(language, [each.reference], [each.text]) for each in records if each.contender == name])
        for name in (contender, FASTER)
    }  # [n_utterances, (units, errors)] each
    said, more = counted[FASTER][:, 0], counted[contender][:, 1] - counted[FASTER][:, 1]
    drawn = np.random.default_rng(1).integers(len(said), size=(n_draws, len(said)))
    points = 100 * more[drawn].sum(axis=1) / said[drawn].sum(axis=1)
    low, high = np.percentile(points, (2.5, 97.5))
    return float(low), float(high)


def table(records: Sequence[Heard]) -> list[str]:
    """Rates in percent, and the difference to faster-whisper in points."""
    found = rows(records)
    peers = [name for name in found[0].n_errors if name != FASTER]
    names = [*peers, FASTER]
    lines = [NORMALIZATION, "Percent; in brackets: points more than faster-whisper."]
    lines.append(f"{'':<6}{'voice':<24}{'condition':<20}{'said':>6}" + "".join(f"{name:>24}" for name in names))
    for row in found:
        cells = [f"{row.rate(name):.2f} ({row.points(name):+.2f})" for name in peers] + [f"{row.rate(FASTER):.2f}"]
        start = f"{RATES[row.language]:<6}{row.voice:<24}{row.condition:<20}{row.n_units:>6}"
        lines.append(start + "".join(f"{cell:>24}" for cell in cells))
    for language in dict.fromkeys(row.language for row in found):
        spoken = [record for record in records if record.language == language]
        for name in peers:
            low, high = interval(spoken, name)
            lines.append(f"{RATES[language]} of {name}, points more, 95 % (bootstrap): {low:+.2f} to {high:+.2f}")
    return lines


def as_json(records: Sequence[Heard]) -> dict[str, Any]:
    """Rows, and what was misheard."""
    return {
        "rows": [
            {**row._asdict(), "percent": {name: row.rate(name) for name in row.n_errors}} for row in rows(records)
        ],
        "heard": [record._asdict() for record in records],
    }
