"""The tasks: how their files are laid out, how many examples are usual, and how a model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeai.errors import OptionError
from edgeai.evaluation.jaster import read_jaster
from edgeai.evaluation.jsonl import read_arc, read_hellaswag
from edgeai.evaluation.metrics import WRITTEN
from edgeai.evaluation.mmlu import read_jmmlu, read_mmlu
from edgeai.evaluation.text_pieces import read_text
from edgeai.evaluation.types import By, Subject

MAX_FEW_SHOT = 64


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    Attributes:
        name: of the task.
        about: what it asks, in a line.
        layout: of its files.
        read: its reader, which takes the path and how many examples are wanted.
        ways: in which a model can be asked, the usual one first.
        few_shot: examples that are usual.
    """

    name: str
    about: str
    layout: str
    read: Callable[[Path, int], list[Subject]]
    ways: tuple[By, ...]
    few_shot: int


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "mmlu",
            "57 subjects from school to profession, four choices each",
            "data/test/SUBJECT_test.csv: question,A,B,C,D,answer without a head; examples in data/dev/SUBJECT_dev.csv",
            read_mmlu,
            ("letter", "answer"),
            5,
        ),
        Task(
            "jmmlu",
            "the same in Japanese, and Japan's history, civics, geography and idioms",
            "JMMLU/SUBJECT.csv, as MMLU's; the first questions of each file are the examples",
            read_jmmlu,
            ("letter", "answer"),
            5,
        ),
        Task(
            "arc",
            "science questions of schools, easy or challenging",
            'ARC-Challenge-Test.jsonl: {"question": {"stem", "choices": [{"text", "label"}]}, "answerKey"}',
            read_arc,
            ("answer", "letter"),
            0,
        ),
        Task(
            "hellaswag",
            "how an everyday scene goes on, four endings each",
            'hellaswag_val.jsonl: {"activity_label", "ctx_a", "ctx_b", "endings": […], "label"}',
            read_hellaswag,
            ("answer", "letter"),
            0,
        ),
        Task(
            "jaster",
            "Japanese and English tasks of llm-jp-eval, short answers that are written",
            'evaluation/test/NAME.json: {"instruction", "output_length", "metrics", "few_shots", "samples": [{"input", '
            '"output"}]}; without few_shots, examples in ../train or ../dev; metrics: ' + ", ".join(WRITTEN),
            read_jaster,
            ("writing",),
            4,
        ),
        Task(
            "perplexity",
            "how well a text is foreseen, in pieces of 1,024 characters",
            "a text file (.txt, .md), or a folder of them",
            read_text,
            ("text",),
            0,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be asked, of any model.

    Attributes:
        task: the task.
        by: how.
        few_shot: examples before each question, at most.
        limit: questions of each subject, at most; None for all.
        chat: whether the model is asked through its own chat template.
        subjects: with their questions, no more than that.
    """

    task: Task
    by: By
    few_shot: int
    limit: int | None
    chat: bool
    subjects: Sequence[Subject]

    @property
    def n_questions(self) -> int:
        """Of all subjects."""
        return sum(len(subject.questions) for subject in self.subjects)

    @property
    def about(self) -> str:
        """What is asked, in a line."""
        if self.by == "text":
            return f"{self.task.name}, {_counted(self.n_questions, 'piece')} of text"
        counted = f"{_counted(self.few_shot, 'example')}, {_counted(self.n_questions, 'question')}"
        return f"{self.task.name} by {self.by}, {counted}{', in the chat template' if self.chat else ''}"


def make_plan(
    name: str,
    data: Path,
    *,
    by: str | None = None,
    few_shot: int | None = None,
    limit: int | None = None,
    chat: bool = False,
) -> Plan:
    """Read a task's files.

    Args:
        name: of the task, one of TASKS.
        data: its file or folder, in the layout of its authors.
        by: "letter" or "answer"; None for what is usual.
        few_shot: examples; None for what is usual.
        limit: questions of each subject at most, the first ones; None for all.
        chat: ask through the model's own chat template.
    Raises:
        OptionError: no such task, or a value that makes no sense.
        DocumentError: a file is missing or broken.
    """
    if name not in TASKS:
        raise OptionError(f"{name[:40]!r} is no task: expected one of {', '.join(TASKS)}")
    task = TASKS[name]
    way = next((each for each in task.ways if by is None or each == by), None)
    if way is None:
        raise OptionError(f"by = {by!r}: {name} is asked by {' or '.join(task.ways)}")
    few_shot = task.few_shot if few_shot is None else few_shot
    if not 0 <= few_shot <= MAX_FEW_SHOT:
        raise OptionError(f"few_shot = {few_shot}: expected 0 to {MAX_FEW_SHOT}")
    if few_shot and way == "text":
        raise OptionError(f"few_shot = {few_shot}: a text has no examples; expected 0")
    if chat and way == "text":
        raise OptionError(f"chat = {chat}: a text is read as it is, without a chat template; leave it out")
    if limit is not None and limit < 1:
        raise OptionError(f"limit = {limit}: expected 1 or more questions of each subject")
    subjects = [replace(each, questions=each.questions[:limit]) for each in task.read(data, few_shot)]
    return Plan(task, way, few_shot, limit, chat, subjects)


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
