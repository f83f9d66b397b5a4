"""From what a model made of a question to scores.

The names are those of lm-evaluation-harness (acc, acc_norm, acc_bytes, bits_per_byte) and of llm-jp-eval (exact_match,
char_f1, set_f1, pearson, spearman).

Written answers are compared as llm-jp-eval 1.x does: an answer ends at its first empty line, quotation marks around it
are dropped, both sides are NFKC-normalized. Its char_f1 is fuzzywuzzy's token_sort_ratio / 100, and so is this one,
written anew (fuzzywuzzy is GPL): what is neither letter nor digit becomes a space, all is in lower case, words (what
stands between spaces: in Japanese mostly the whole) are sorted, and the ratio is 2 · LCS / (length + length), rounded
to whole percents, as python-Levenshtein's is.

For its correlations (JSTS) a number is read from the answer by leaving out all but digits and points; what is no number
then counts as -2 (its parse_float, version 1.0.0, src/llm_jp_eval/utils.py). A correlation that is none, since all
answers are the same number, counts as 0.

Source: lm_eval/api/task.py of EleutherAI/lm-evaluation-harness (process_results of multiple choices);
llm-jp/llm-jp-eval; fuzzywuzzy 0.18, fuzz.py and utils.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Literal

from edgeai.evaluation.types import By, Choice, Exercise, Outcome, Passage, Question

_NO_WORD = re.compile(r"\W")
_NO_NUMBER = re.compile(r"[^0-9.]")
_WITHOUT_NUMBER = -2.0  # what an answer without a number counts as
_LATIN_1 = dict.fromkeys(range(128, 256))  # fuzzywuzzy takes these out, and nothing beyond them


@dataclass(frozen=True, slots=True)
class Metric:
    """What a figure is.

    Attributes:
        name: of the field.
        kind: how it comes from the questions: each is right or wrong ("share"), it is the mean of their scores, the
            exponential of such a mean, or a correlation of what was written with what is right.
        is_cost: lower is better, and it has no upper end; all others end at 1.
    """

    name: str
    kind: Literal["share", "mean", "exp_mean", "pearson", "spearman"] = "mean"
    is_cost: bool = False

    @property
    def is_correlation(self) -> bool:
        """Whether it is of one set of questions: those of several make no figure together."""
        return self.kind in ("pearson", "spearman")


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("acc", "share"),
        Metric("acc_norm", "share"),
        Metric("acc_bytes", "share"),
        Metric("exact_match", "share"),
        Metric("char_f1"),
        Metric("set_f1"),
        Metric("pearson", "pearson"),
        Metric("spearman", "spearman"),
        Metric("perplexity", "exp_mean", is_cost=True),
        Metric("bits_per_byte", is_cost=True),
    )
}
WRITTEN = ("exact_match", "char_f1", "set_f1", "pearson", "spearman")
"""Metrics of written answers."""

Score = tuple[float, float]
"""A value, and its weight in the mean; for a correlation the number that was written, and the right one."""


def scores(question: Question, outcome: Outcome, by: By, metrics: Sequence[str]) -> dict[str, Score]:
    """What an outcome is worth; nothing where it has an error.

    Args:
        question: what was asked.
        outcome: what came of it.
        by: how it was asked.
        metrics: of written answers.
    """
    if outcome.error:
        return {}
    if isinstance(question, Choice):
        return {name: (value, 1.0) for name, value in _choice_scores(question, outcome.log_probs, by).items()}
    if isinstance(question, Passage):
        nats = -outcome.log_probs[0]
        n_bytes = len(question.text.encode())
        return {
            "perplexity": (nats / outcome.n_tokens[0], outcome.n_tokens[0]),
            "bits_per_byte": (nats / log(2) / n_bytes, n_bytes),
        }
    return {name: _written_score(METRICS[name], outcome.text, question.answer) for name in metrics}


def _written_score(metric: Metric, written: str, right: str) -> Score:
    if metric.is_correlation:
        return number(written), float(right)
    return _COMPARED[metric.name](written, right), 1.0


def chosen(log_probs: Sequence[float]) -> int:
    """The likeliest choice, the first of equals."""
    return max(range(len(log_probs)), key=log_probs.__getitem__)


def _choice_scores(question: Choice, log_probs: Sequence[float], by: By) -> dict[str, float]:
    def is_right(lengths: Sequence[int]) -> float:
        each = [value / length for value, length in zip(log_probs, lengths, strict=True)]
        return float(chosen(each) == question.answer)

    found = {"acc": is_right([1] * len(log_probs))}
    if by == "answer":
        found["acc_norm"] = is_right([len(choice) for choice in question.choices])
        found["acc_bytes"] = is_right([len(choice.encode()) for choice in question.choices])
    return found


def tidy(text: str) -> str:
    """A written answer as it is compared."""
    answer = text.strip().split("\n\n")[0].strip()
    return unicodedata.normalize("NFKC", answer.strip("'").strip('"')).strip()


def exact_match(written: str, right: str) -> float:
    """1 where both are the same after `tidy`."""
    return float(tidy(written) == tidy(right))


def char_f1(written: str, right: str) -> float:
    """fuzzywuzzy's token_sort_ratio of both after `tidy`, 0..1."""
    first, second = _sorted_words(tidy(written)), _sorted_words(tidy(right))
    if first == second:
        return 1.0
    if not first or not second:
        return 0.0
    return round(200 * _n_common(first, second) / (len(first) + len(second))) / 100


def number(written: str) -> float:
    """The number in an answer, as llm-jp-eval reads it: "3.5 です" is 3.5, "-1" is 1, and "3 or 4.5.6" is -2."""
    try:
        value = float(_NO_NUMBER.sub("", tidy(written)))
    except ValueError:
        return _WITHOUT_NUMBER
    return value if isfinite(value) else _WITHOUT_NUMBER


def set_f1(written: str, right: str) -> float:
    """F1 of the lines: a line that is written again counts once.

    Source: llm-jp-eval's set_f1, which takes precision and recall over the written lines as a set.
    """
    expected = [line.strip() for line in tidy(right).split("\n")]
    found = {line.strip() for line in tidy(written).split("\n")}
    n_right = sum(line in expected for line in found)
    precision, recall = n_right / len(found), n_right / len(expected)
    return 2 * precision * recall / (precision + recall) if n_right else 0.0


_COMPARED: Mapping[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "char_f1": char_f1,
    "set_f1": set_f1,
}


def _sorted_words(text: str) -> str:
    return " ".join(sorted(_NO_WORD.sub(" ", text.translate(_LATIN_1)).lower().split()))


def _n_common(first: str, second: str) -> int:
    """The length of the longest common subsequence.

    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited".
    """
    places: dict[str, int] = {}
    for index, char in enumerate(first):
        places[char] = places.get(char, 0) | 1 << index
    ones = (1 << len(first)) - 1
    row = ones
    for char in second:
        matches = row & places.get(char, 0)
        row = ((row + matches) | (row - matches)) & ones
    return len(first) - row.bit_count()


def metrics_of(question: Question, by: By, written: Sequence[str]) -> tuple[str, ...]:
    """The names of the scores that a question has."""
    if isinstance(question, Exercise):
        return tuple(written)
    if isinstance(question, Passage):
        return ("perplexity", "bits_per_byte")
    return ("acc", "acc_norm", "acc_bytes") if by == "answer" else ("acc",)
