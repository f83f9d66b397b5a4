"""Labels, and the tokens that a model would write for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from edgeai.common_prefix import n_common
from edgeai.errors import OptionError

MAX_LABELS = 1000


def checked_labels(labels: Sequence[str], *, multi: bool, special_tokens: Sequence[str]) -> tuple[str, ...]:
    """Labels without the white space round them.

    Args:
        labels: as the user gives them.
        multi: whether each may apply or not, whatever the others do.
        special_tokens: texts of the model's control tokens.
    Raises:
        OptionError: none, one alone, too many, an empty one, two that are the same, or one that cannot be written.
    """
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise OptionError(f"labels = {labels!r}: expected a list of texts")
    found = tuple(label.strip() for label in labels)
    least = 1 if multi else 2
    if not least <= len(found) <= MAX_LABELS or found == ("",):
        n_found = 0 if found == ("",) else len(found)
        counted = f"{n_found:,} label{'' if n_found == 1 else 's'}" if n_found else "no labels"
        raise OptionError(f"{counted}: expected {least} to {MAX_LABELS:,}; name what texts are sorted by")
    seen: dict[str, str] = {}
    for label in found:
        if not label:
            raise OptionError("an empty label: expected a text; leave it out")
        if not label.isprintable():
            raise OptionError(f"the label {label!r}: expected one line that can be printed")
        if any(token in label for token in special_tokens if len(token) > 1):
            raise OptionError(f"the label {label!r} holds a control token of the model: expected plain text; rename it")
        same = unicodedata.normalize("NFC", label)
        if same in seen:
            raise OptionError(f"the label {label!r} comes twice: expected each once; leave one out")
        seen[same] = label
    return found


class AnswerTokens:
    """The tokens of possible answers, as the model would write them after a prompt.

    No length is normalized: the probability of an answer is that of all its tokens. "The answer begins with this label"
    are events that exclude each other, so their probabilities compare as they are. Divided by the number of tokens they
    would be no probabilities any more, and long labels whose ends follow from their beginnings would gain. Only where a
    label begins another ("good", "good enough") is each continued to the end of the turn: otherwise the shorter one
    would have at least the probability of the longer, always.
    """

    def __init__(self, tokenize: Callable[[str], list[int]], answers: Sequence[str], gap: str, after: str) -> None:
        """
        Args:
            tokenize: text to tokens, control tokens read.
            answers: the answers.
            gap: what the template writes between the end of a prompt and an answer.
            after: what it writes after an answer.
        """
        self._tokenize = tokenize
        self._answers = answers
        self._gap, self._after = gap, after

    def after(self, text: str) -> tuple[list[int], list[list[int]]]:
        """The tokens of a text, as far as they stay whatever the answer is, and each answer's after those.

        Raises:
            OptionError: answers have the same tokens, or none.
        """
        alone = self._tokenize(text)
        whole = [self._tokenize(text + self._gap + answer) for answer in self._answers]
        n_same = min(n_common(alone, tokens) for tokens in whole)
        found = [tokens[n_same:] for tokens in whole]
        for answer, tokens in self._pairs(found):
            if not tokens:
                raise OptionError(f"the label {answer!r} has no tokens in this model's vocabulary: rename it")
        if any(_begins(one, other) for one in found for other in found):
            found = [tokens + self._end(text, answer, n_same, tokens) for answer, tokens in self._pairs(found)]
        seen: dict[tuple[int, ...], str] = {}
        for answer, tokens in self._pairs(found):
            other = seen.setdefault(tuple(tokens), answer)
            if other != answer:
                raise OptionError(f"the labels {other!r} and {answer!r} are the same tokens to this model: rename one")
        return alone[:n_same], found

    def _pairs(self, found: Sequence[list[int]]) -> list[tuple[str, list[int]]]:
        return list(zip(self._answers, found, strict=True))

    def _end(self, text: str, answer: str, n_same: int, tokens: Sequence[int]) -> list[int]:
        """The token after an answer."""
        ended = self._tokenize(text + self._gap + answer + self._after)[n_same:]
        return ended[len(tokens) : len(tokens) + 1] if ended[: len(tokens)] == list(tokens) else []


def _begins(one: Sequence[int], other: Sequence[int]) -> bool:
    return len(one) < len(other) and n_common(one, other) == len(one)
