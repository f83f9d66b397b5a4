"""Questions, what a model made of them, and what is known of a task's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

By = Literal["letter", "answer", "writing", "text"]
"""How a model is asked: which letter, which answer as a whole, to write one, or not at all (a text's perplexity)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A multiple-choice question.

    Attributes:
        line: where it begins in its file.
        text: the question.
        choices: the answers to choose from, two or more.
        answer: the index of the right one.
        labels: what the choices are called, such as "A".
    """

    line: int
    text: str
    choices: tuple[str, ...]
    answer: int
    labels: tuple[str, ...] = ("A", "B", "C", "D")


@dataclass(frozen=True, slots=True)
class Exercise:
    """A question whose short answer is to be written.

    Attributes:
        line: where it stands: its number in a file that has no lines.
        text: the question.
        answer: the right answer.
    """

    line: int
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a text whose probability is asked for.

    Attributes:
        line: its number.
        text: the piece.
    """

    line: int
    text: str


Question = Choice | Exercise | Passage


@dataclass(frozen=True, slots=True)
class Subject:
    """Questions that share their instructions and examples: a file of a task.

    Attributes:
        name: of the subject.
        files: path and SHA-256 of what it was read from.
        questions: what is asked, in the order of the file.
        examples: questions that may be shown with their answers, in order; none of them is asked.
        instruction: what the file itself says of how to answer.
        metrics: by which written answers are scored.
        max_tokens: of a written answer.
    """

    name: str
    files: Mapping[str, str]
    questions: Sequence[Question]
    examples: Sequence[Question] = ()
    instruction: str = ""
    metrics: tuple[str, ...] = ()
    max_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a model made of a question, before anything is made of that.

    Attributes:
        log_probs: of each choice, or of a passage, nats.
        n_tokens: of each of them.
        text: what was written.
        error: why there is nothing, in one line.
    """

    log_probs: tuple[float, ...] = ()
    n_tokens: tuple[int, ...] = ()
    text: str = ""
    error: str = ""
