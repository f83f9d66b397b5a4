"""Classifier: texts in, labels out, as many at once as fit a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, get_args

from edgeai.backends.base import Scored, ScoreItem
from edgeai.classify.calibration import CONTENT_FREE, LEAST_EXAMPLES, calibrated, helps, prior_of
from edgeai.classify.labels import checked_labels
from edgeai.classify.prompt import DEFAULT_INSTRUCTIONS, Asked, ClassifyPrompt, checked_examples
from edgeai.classify.types import Calibrate, Classification, Example
from edgeai.errors import EngineCrashedError, OptionError
from edgeai.scoring import Scoring

WINDOW_TOKENS = 4096
"""Texts are scored together until they have so many tokens, enough to fill batches with, but no more than are done in
WINDOW_S, as long as those are LEAST_WINDOW_TOKENS: results come at a window's end, and what is lost with a process is
the window in hand."""
LEAST_WINDOW_TOKENS = 1024
WINDOW_S = 5.0
WINDOW_TEXTS = 512
MAX_TRIALS = 16
"""Examples that are left out in turn, to see whether calibration helps."""
_MOST_CHARS_A_TOKEN = 256  # a run of spaces is one token in some vocabularies
_CUT_STEPS = 40


class Scores(Protocol):
    """A session."""

    @property
    def scoring(self) -> Scoring: ...


class Classifier:
    """Sorts texts by labels, which it reads from the model's probabilities.

    Attributes:
        labels: without the white space round them.
        prior: what the model answers to texts without content, by answers, where that is divided by; else None. In
            multi-label mode a pair for each label: yes, no.
    """

    def __init__(
        self,
        session: Scores,
        labels: Sequence[str],
        *,
        instructions: str | None = None,
        examples: Sequence[Any] = (),
        multi: bool = False,
        calibrate: Calibrate = "auto",
        abstain_below: float | None = None,
        truncate: bool = False,
        on_scored: Callable[[], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            session: has the model. Its conversation has no part in this.
            labels: the possible answers.
            instructions: what the labels mean, how to decide. The labels are listed after it.
            examples: texts whose labels are known: Examples, pairs, or dicts {"text": …, "label": …}.
            multi: a text may have any number of labels: each is asked about by itself.
            calibrate: divide by what the model answers to texts without content: "on", "off", or "auto", where the
                examples show that it helps (each is classified with the others as examples); without examples off.
            abstain_below: give no label where the likeliest one's probability is below this, 0..1 (multi-label: where
                some label is neither so surely on nor so surely off).
            truncate: cut texts that do not fit the context window, at their ends, instead of failing on them.
            on_scored: called after each text that is scored, before its turn in the results comes.

        Raises:
            OptionError: labels or options that make no sense, or instructions that leave no room for a text.
            ChatTemplateError: the model has no usable chat template.
            GenerationError: the engine failed.
            UnsupportedModalityError: its engine does not tell probabilities.
        """
        if calibrate not in get_args(Calibrate):
            raise OptionError(f'calibrate = {calibrate!r}: expected "auto", "on" or "off"')
        if abstain_below is not None and not 0 <= abstain_below <= 1:
            raise OptionError(f"abstain_below = {abstain_below!r}: expected a probability, 0 to 1")
        self._model = session.scoring
        self.labels = checked_labels(labels, multi=multi, special_tokens=self._model.info.special_tokens)
        self._instructions = DEFAULT_INSTRUCTIONS if instructions is None else instructions
        self._examples = checked_examples(examples, self.labels, multi=multi)
        self._multi, self._abstain_below, self._truncate, self._on_scored = multi, abstain_below, truncate, on_scored
        self._prompt = self._prompt_with(self._examples)
        self.prior: list[list[float]] | None = None
        if calibrate == "on" or (calibrate == "auto" and self._calibration_helps()):
            self.prior = self._prior(self._prompt)

    @property
    def n_prefix(self) -> int:
        """Tokens that all texts share: instructions, labels, examples."""
        return len(self._prompt.prefix)

    def classify(self, texts: Iterable[str]) -> Iterator[Classification]:
        """Classify texts. They are read as they are needed, and never more than a few hundred are held.

        Returns:
            One for each text, in their order.
        Raises:
            GenerationError: the engine failed, twice at the same texts where it crashed.
        """
        window, n_tokens, n_most = list[Asked | str](), 0, LEAST_WINDOW_TOKENS
        for text in texts:
            asked = self._asked(text)
            window.append(asked)
            n_tokens += 0 if isinstance(asked, str) else asked.n_work
            if n_tokens >= n_most or len(window) >= WINDOW_TEXTS:
                began = time.monotonic()
                found = self._classified(window)
                rate = n_tokens / max(time.monotonic() - began, 1e-6)
                n_most = max(LEAST_WINDOW_TOKENS, min(int(WINDOW_S * rate), WINDOW_TOKENS))
                window, n_tokens = [], 0
                yield from found
        yield from self._classified(window)

    # --- one text ---

    def _asked(self, text: object) -> Asked | str:
        """A text as it is scored, or why it cannot be."""
        if not isinstance(text, str):
            return f"{type(text).__name__} instead of a text: expected a text"
        if not text.strip():
            return "the text is empty: expected words"
        n_ctx = self._model.info.n_ctx
        most_chars = _MOST_CHARS_A_TOKEN * n_ctx
        if len(text) > most_chars and not self._truncate:
            return f"the text has {len(text):,} characters, and the context window holds n_ctx = {n_ctx:,} tokens"
        asked = self._prompt.of(text[:most_chars])
        if asked.n_tokens <= n_ctx:
            return asked
        if not self._truncate:
            return (
                f"the text does not fit: with the instructions it has {asked.n_tokens:,} tokens, and the context "
                f"window holds n_ctx = {n_ctx:,}: cut it (truncate), or open the model with more n_ctx"
            )
        return self._cut(text[:most_chars], asked)

    def _cut(self, text: str, asked: Asked) -> Asked:
        """The longest beginning of a text that fits, found by halving; what is known to fit without it is nothing."""
        n_ctx, n_fits, n_not, best = self._model.info.n_ctx, 0, len(text), asked
        for _ in range(_CUT_STEPS):
            if n_not - n_fits <= 1:
                break
            middle = (n_fits + n_not) // 2
            tried = self._prompt.of(text[:middle])
            if tried.n_tokens <= n_ctx:
                n_fits, best = middle, tried
            else:
                n_not = middle
        return best

    def _classification(self, log_probs: Sequence[float]) -> Classification:
        if self._multi:
            return self._several(log_probs)
        probabilities = calibrated(log_probs, self.prior[0] if self.prior else None)
        first, second = sorted(probabilities, reverse=True)[:2]
        label = self.labels[probabilities.index(first)]
        certain = self._abstain_below is None or first >= self._abstain_below
        return Classification(
            label if certain else None,
            (label,) if certain else (),
            dict(zip(self.labels, probabilities, strict=True)),
            dict(zip(self.labels, log_probs, strict=True)),
            first - second,
        )

    def _several(self, log_probs: Sequence[float]) -> Classification:
        pairs = list(zip(log_probs[::2], log_probs[1::2], strict=True))
        priors: Sequence[list[float] | None] = self.prior or [None] * len(pairs)
        yes = [calibrated(pair, prior)[0] for pair, prior in zip(pairs, priors, strict=True)]
        by_label = dict(zip(self.labels, yes, strict=True))
        least = min(max(p, 1 - p) for p in yes)
        certain = self._abstain_below is None or least >= self._abstain_below
        found = sorted((label for label in self.labels if by_label[label] >= 0.5), key=lambda label: -by_label[label])
        differences = {label: _difference(*pair) for label, pair in zip(self.labels, pairs, strict=True)}
        kept = tuple(found) if certain else ()
        return Classification(kept[0] if kept else None, kept, by_label, differences, 2 * least - 1)

    # --- many texts ---

    def _classified(self, window: Sequence[Asked | str]) -> list[Classification]:
        found = iter(self._scores([asked for asked in window if not isinstance(asked, str)], self._prompt))
        return [
            Classification(None, error=asked) if isinstance(asked, str) else self._classification(next(found))
            for asked in window
        ]

    def _scores(self, asked: Sequence[Asked], prompt: ClassifyPrompt, *, told: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities of the answers, in order. Texts that begin otherwise than the prefix come by themselves."""
        found: dict[int, tuple[float, ...]] = {}
        lengths = sorted({one.n_prefix for one in asked}, reverse=True)
        for n_prefix in lengths:
            numbers = [number for number, one in enumerate(asked) if one.n_prefix == n_prefix]
            items = [asked[number].item for number in numbers]
            scored = self._score(prompt.prefix[:n_prefix], items, self._on_scored if told else None)
            found |= {numbers[index]: result.log_probs for index, result in scored.items()}
        return [found[number] for number in range(len(asked))]

    def _score(
        self, prefix: Sequence[int], items: Sequence[ScoreItem], on_scored: Callable[[], None] | None
    ) -> dict[int, Scored]:
        """Score; what an engine has left undone when it crashed, a new one does, once."""
        results: dict[int, Scored] = {}
        try:
            self._model.score(prefix, items, results, on_scored)
        except EngineCrashedError:
            left = [index for index in range(len(items)) if index not in results]
            again: dict[int, Scored] = {}
            self._model.score(prefix, [items[index] for index in left], again, on_scored)
            results |= {left[index]: scored for index, scored in again.items()}
        return results

    # --- instructions and calibration ---

    def _prompt_with(self, examples: Sequence[Example]) -> ClassifyPrompt:
        prompt = ClassifyPrompt(self._model, self.labels, self._instructions, examples, multi=self._multi)
        n_ctx, n_least = self._model.info.n_ctx, prompt.of("a").n_tokens
        if n_least > n_ctx:
            raise OptionError(
                f"the instructions, labels and examples have {n_least:,} tokens and leave no room for a text in "
                f"n_ctx = {n_ctx:,}: shorten them, or open the model with more n_ctx"
            )
        return prompt

    def _prior(self, prompt: ClassifyPrompt) -> list[list[float]]:
        """What the model answers to texts without content: of all labels, or yes and no of each."""
        rows = self._scores([prompt.of(text) for text in CONTENT_FREE], prompt, told=False)
        if not self._multi:
            return [prior_of(rows)]
        return [prior_of([row[at : at + 2] for row in rows]) for at in range(0, len(rows[0]), 2)]

    def _calibration_helps(self) -> bool:
        """Whether it does on examples, each classified with the others as examples."""
        if len(self._examples) * (len(self.labels) if self._multi else 1) < LEAST_EXAMPLES:
            return False
        step = max(1, -(-len(self._examples) // MAX_TRIALS))
        plain, with_prior, n_right, n_right_with_prior = list[float](), list[float](), 0, 0
        for number in range(0, len(self._examples), step):
            example = self._examples[number]
            prompt = self._prompt_with([*self._examples[:number], *self._examples[number + 1 :]])
            asked = prompt.of(example.text)
            if asked.n_tokens > self._model.info.n_ctx or not example.text.strip():
                continue
            (row,), priors = self._scores([asked], prompt, told=False), self._prior(prompt)
            for pair, prior, right in self._decisions(row, priors, example):
                before, after = calibrated(pair, None), calibrated(pair, prior)
                plain.append(before[right])
                with_prior.append(after[right])
                n_right += before[right] == max(before)
                n_right_with_prior += after[right] == max(after)
        return helps(plain, with_prior, n_right, n_right_with_prior)

    def _decisions(
        self, row: Sequence[float], priors: Sequence[list[float]], example: Example
    ) -> Iterator[tuple[Sequence[float], list[float], int]]:
        """Each choice that an example decides: the answers' log-probabilities, their prior, the right one."""
        if not self._multi:
            yield row, priors[0], self.labels.index(example.labels[0])
            return
        for number, label in enumerate(self.labels):
            yield row[2 * number : 2 * number + 2], priors[number], int(label not in example.labels)


def _difference(yes: float, no: float) -> float:
    """Logarithm of the odds; none where both are impossible."""
    return yes - no if yes != no else 0.0
