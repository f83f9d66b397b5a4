"""The benchmark of speech: its sentences and sounds are what it says, and its tables are right for made-up figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks import speech_errors, speech_memory, speech_rtf, speech_turns
from benchmarks.speech_audio import CONDITIONS, LANGUAGES, noisy, pink_noise, questions, recording, sentences, voices
from benchmarks.speech_errors import Heard, errors, interval, rows
from benchmarks.speech_hearers import FASTER
from benchmarks.speech_memory import Peak
from benchmarks.speech_rtf import Timed
from benchmarks.speech_turns import Budget, Interruption
from edgeai.speech.types import SAMPLE_RATE_HZ


def cells(line: str) -> list[str]:
    return line.split()


def heard(condition: str, contender: str, text: str, reference: str = "今日は、いい天気です。") -> Heard:
    return Heard("ja", "a voice", condition, contender, reference, text)


def test_there_are_thirty_sentences_and_more_and_none_twice() -> None:
    spoken = [sentence.spoken for language in LANGUAGES for sentence in sentences(language)]
    assert len(spoken) == len(set(spoken)) >= 30
    assert all(len({voice.name for voice in voices(language)}) == 2 for language in LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_are_three_seconds_long(language: str) -> None:
    assert all(2.0 < len(question) / SAMPLE_RATE_HZ < 4.0 for question in questions(language))


def test_noise_is_pink_and_as_loud_as_it_says() -> None:
    noise = pink_noise(1 << 16, seed=1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [power[n : 2 * n].sum() for n in (1 << 10, 1 << 12, 1 << 14)]  # each octave of pink noise is as loud
    assert max(octaves) / min(octaves) < 1.2
    tone = (0.1 * np.sin(np.arange(SAMPLE_RATE_HZ) / 5)).astype(np.float32)
    mixed = noisy(tone, seed=1)
    before = round(0.3 * SAMPLE_RATE_HZ)
    added = mixed[before : before + len(tone)] - tone
    assert 10 * np.log10(np.mean(tone**2) / np.mean(added**2)) == pytest.approx(10.0, abs=1.5)
    assert np.array_equal(mixed, noisy(tone, seed=1))


def test_a_recording_is_as_long_as_it_is_to_be_and_says_nothing_twice_in_a_row() -> None:
    waveform, said = recording("en", 20.0)
    assert 20.0 <= len(waveform) / SAMPLE_RATE_HZ < 30.0
    known = {sentence.reference for sentence in sentences("en")}
    found = sorted((said.index(reference), reference) for reference in known if reference in said)
    assert " ".join(reference for _, reference in found) == said


@pytest.mark.parametrize(
    ("text", "n_errors"),
    [
        ("今日はいい天気です", 0),
        ("今日は いい 天気です！", 0),
        ("今日はいい電気です", 1),
        ("", 9),
        ("今日はいい天気ですよ", 1),
    ],
)
def test_japanese_is_scored_by_characters(text: str, n_errors: int) -> None:
    assert errors("ja", ["今日は、いい天気です。"], [text]) == (9, n_errors)


def test_japanese_digits_of_either_width_are_the_same() -> None:
    assert errors("ja", ["午後３時"], ["午後3時"]) == (4, 0)


def test_english_is_scored_by_words_after_the_usual_normalization() -> None:
    pytest.importorskip("whisper_normalizer")
    reference = "Set a timer for 25 minutes."
    assert errors("en", [reference], ["set a timer, for twenty five minutes"]) == (6, 0)
    assert errors("en", [reference], ["Set the timer for 25 minutes now."]) == (6, 2)


def test_rates_and_differences_are_of_all_that_was_said() -> None:
    clean, noise = CONDITIONS
    records = [
        heard(clean, "ours", "今日はいい天気です"),
        heard(clean, FASTER, "今日はいい電気です"),
        heard(noise, "ours", "今日はいい天です"),
        heard(noise, FASTER, "今日はいい天気です"),
        heard(noise, "ours", "雨", reference="雨"),
        heard(noise, FASTER, "雪", reference="雨"),
    ]
    found = rows(records)
    assert [(row.voice, row.condition, row.n_units) for row in found] == [
        ("a voice", clean, 9),
        ("a voice", noise, 10),
        ("both voices", clean, 9),
        ("both voices", noise, 10),
        ("both voices", "both", 19),
    ]
    assert [row.n_errors for row in found] == [
        *({"ours": 0, FASTER: 1}, {"ours": 1, FASTER: 1}) * 2,
        {"ours": 1, FASTER: 2},
    ]
    lines = speech_errors.table(records)
    assert cells(lines[3])[-3:] == ["0.00", "(-11.11)", "11.11"]
    assert cells(lines[7])[-3:] == ["5.26", "(-5.26)", "10.53"]
    # One of 27 draws is three times the same utterance, which is more often than what is left out at either end.
    low, high = interval(records, "ours")
    assert (low, high) == pytest.approx((-100.0, 100 / 9))
    assert lines[-1].endswith("-100.00 to +11.11")


def test_speeds_are_compared_round_by_round() -> None:
    timed: Sequence[Timed] = [Timed("ours", [0.1, 0.2, 0.1], 1.0), Timed("peer", [0.2, 0.3, 0.05], 2.5)]
    lines = speech_rtf.table(timed, "en")
    assert cells(lines[1]) == ["ours", "0.1000", "1.00"]
    assert cells(lines[2]) == ["peer", "0.2000", "1.500", "2.50"]


def test_the_first_question_of_a_conversation_stands_apart() -> None:
    budgets = [Budget("en", 3.0, 500.0, n, n, n, n, 500.0 + 4 * n, 600.0) for n in (400.0, 10.0, 20.0, 30.0)]
    lines = speech_turns.latency_lines(budgets)
    assert cells(lines[1])[-8:] == ["3", "500", "20", "20", "20", "20", "580", "600"]
    assert cells(lines[2])[-3:] == ["400", "2100", "600"]
    assert lines[3].endswith("median 580, most 620 ms")


def test_answers_that_were_over_before_are_no_interruptions() -> None:
    lines = speech_turns.barge_in_lines([Interruption("en", n, ms) for n, ms in enumerate((90.0, None, 130.0))])
    assert lines[0].startswith("en, 2 of 3 answers interrupted: silent after 110 ms")
    assert lines[0].endswith("at most 130 ms")


def test_memory_is_that_of_all_processes() -> None:
    assert cells(speech_memory.lines([Peak("a conversation", 500.0, 250.4)])[1])[-3:] == ["500", "250", "750"]
