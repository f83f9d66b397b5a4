"""What was measured in conversations by voice, and its tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.speech_audio import LANGUAGES


class Budget(NamedTuple):
    """What the time from the end of a question to the first sound of its answer was spent on, ms.

    Attributes:
        question_s: how long the question is.
        hang_over_ms: silence that is waited for.
        transcription_ms: beyond that.
        sentence_ms: the model's, to its first whole sentence.
        synthesis_ms: of that sentence.
        sound_ms: from there to the first samples in the sink.
        total_ms: all of these: from the end of speech as the voice-activity detector sees it.
        audible_ms: from the last sample that can be heard in the question.
    """

    language: str
    question_s: float
    hang_over_ms: float
    transcription_ms: float
    sentence_ms: float
    synthesis_ms: float
    sound_ms: float
    total_ms: float
    audible_ms: float


class Interruption(NamedTuple):
    """An answer that somebody spoke into.

    Attributes:
        question: number of the question that was said into it.
        silent_ms: of that speech, until the answer stopped; None where the answer was over before.
    """

    language: str
    question: int
    silent_ms: float | None


PARTS = Budget._fields[2:]


def latency_lines(budgets: Sequence[Budget]) -> list[str]:
    """Medians of all but the first question, part by part."""
    first, *others = budgets
    lines = [f"{'ms':<26}{'n':>4}" + "".join(f"{part.removesuffix('_ms'):>15}" for part in PARTS)]
    for language in LANGUAGES:
        some = [budget for budget in others if budget.language == language]
        if some:
            length_s = statistics.median(budget.question_s for budget in some)
            lines.append(_line(f"{language}, questions of {length_s:.1f} s", some))
    lines.append(_line(f"{first.language}, first of all", [first]))
    totals = sorted(budget.total_ms for budget in others)
    if totals:
        lines.append(f"total without the first: median {statistics.median(totals):.0f}, most {totals[-1]:.0f} ms")
    return lines


def _line(name: str, budgets: Sequence[Budget]) -> str:
    medians = (statistics.median(getattr(budget, part) for budget in budgets) for part in PARTS)
    return f"{name:<26}{len(budgets):>4}" + "".join(f"{each:>15.0f}" for each in medians)


def barge_in_lines(found: Sequence[Interruption]) -> list[str]:
    """Counted in samples of what the microphone gave, from the first that can be heard."""
    lines: list[str] = []
    for language in LANGUAGES:
        times = sorted(each.silent_ms for each in found if each.language == language and each.silent_ms is not None)
        n = sum(each.language == language for each in found)
        if times:
            words = f"silent after {statistics.median(times):.0f} ms of speech (median), at most {times[-1]:.0f} ms"
            lines.append(f"{language}, {len(times)} of {n} answers interrupted: {words}")
        else:
            lines.append(f"{language}: all of {n} answers were over before they could be interrupted")
    return lines
