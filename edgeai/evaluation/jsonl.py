"""ARC and HellaSwag: a question a line, in JSON.

ARC (`ARC-Challenge-Test.jsonl`): {"id", "question": {"stem", "choices": [{"text", "label"}]}, "answerKey"}; the same as
the Hugging Face hub has it: {"id", "question", "choices": {"text": […], "label": […]}, "answerKey"}.

HellaSwag (`hellaswag_val.jsonl`): {"ind", "activity_label", "ctx_a", "ctx_b", "ctx", "endings": […], "label", …}.

Source: allenai.org/data/arc (Clark et al. 2018); github.com/rowanz/hellaswag (Zellers et al. 2019). How HellaSwag's
texts are put together and cleaned: lm-evaluation-harness, lm_eval/tasks/hellaswag/utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeai.errors import DocumentError
from edgeai.evaluation.source import Source, files_in, json_lines, printable, read_source, shown, text_field
from edgeai.evaluation.types import Choice, Subject

_MAX_CHOICES = 26
_WHAT = "a JSON Lines file of questions"
_TRAIN = re.compile(r"(?<![a-z])(test|val|validation|dev)(?![a-z])", re.IGNORECASE)

_Reader = Callable[[Source, int, dict[str, Any]], Choice]


def read_arc(data: Path, n_examples: int) -> list[Subject]:
    """The questions of ARC, easy or challenging.

    Args:
        data: a file, or a folder: its files that are not for training.
        n_examples: how many are wanted at most. They are the first ones of the file for training that stands beside it
            (`ARC-Easy-Train.jsonl` of `ARC-Easy-Test.jsonl`), else of the file itself.
    Raises:
        DocumentError: a file is missing or broken.
    """
    return _subjects(data, n_examples, _arc)


def read_hellaswag(data: Path, n_examples: int) -> list[Subject]:
    """The contexts of HellaSwag and how they may go on; see `read_arc`.

    Raises:
        DocumentError: a file is missing or broken, or has no labels (those of the test set are secret).
    """
    return _subjects(data, n_examples, _hellaswag)


def _subjects(data: Path, n_examples: int, read: _Reader) -> list[Subject]:
    def is_asked(path: Path) -> bool:
        return path.suffix.lower() in (".jsonl", ".json") and "train" not in path.stem.lower()

    return [_subject(path, n_examples, read) for path in files_in(data, is_asked, _WHAT)]


def _subject(path: Path, n_examples: int, read: _Reader) -> Subject:
    source = read_source(path, _WHAT)
    questions = [read(source, line, row) for line, row in json_lines(source)]
    examples, files = list[Choice](), source.files
    if n_examples and (other := _for_training(path)) is not None:
        training = read_source(other, _WHAT)
        for line, row in json_lines(training):
            examples.append(read(training, line, row))
            if len(examples) == n_examples:
                break
        files = {**files, **training.files}
    elif n_examples:
        examples, questions = questions[:n_examples], questions[n_examples:]
    if not questions:
        words = "every question would be an example" if examples else "there is no question in it"
        raise DocumentError(f"{path}: {words}: expected more lines; ask with fewer examples (--few-shot)")
    return Subject(path.stem, files, questions, examples)


def _for_training(path: Path) -> Path | None:
    """The file for training that belongs to one for tests, where it stands beside it."""
    names = {_TRAIN.sub(word, path.name) for word in ("train", "Train", "TRAIN")} - {path.name}
    return next((other for name in sorted(names) if (other := path.with_name(name)).is_file()), None)


def _arc(source: Source, line: int, row: dict[str, Any]) -> Choice:
    question, listed = row.get("question"), row.get("choices")
    if isinstance(question, dict):
        stem = text_field(source, line, question, "stem")
        listed = question.get("choices")
    else:
        stem = text_field(source, line, row, "question")
    if isinstance(listed, dict):  # the hub's columns
        texts, labels = listed.get("text"), listed.get("label")
    elif isinstance(listed, list) and all(isinstance(each, dict) for each in listed):
        texts, labels = [each.get("text") for each in listed], [each.get("label") for each in listed]
    else:
        texts = labels = None
    choices = _texts(source, line, texts, "choices")
    names = _texts(source, line, labels, "labels")
    key = text_field(source, line, row, "answerKey").strip()
    if len(names) != len(choices) or len(set(names)) != len(names):
        raise source.wrong(line, f"{len(choices)} choices with the labels {shown(names)}: expected a label for each")
    if key not in names:
        raise source.wrong(line, f"'answerKey' is {shown(key)}: expected one of {', '.join(names)}")
    return Choice(line, stem, choices, names.index(key), names)


def _hellaswag(source: Source, line: int, row: dict[str, Any]) -> Choice:
    label = row.get("label")
    endings = tuple(map(_cleaned, _texts(source, line, row.get("endings"), "endings")))
    if isinstance(label, str) and label.isascii() and label.isdigit():
        label = int(label[:4])
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(endings):
        raise source.wrong(
            line, f"'label' is {shown(label)}: expected the number of an ending, 0 to {len(endings) - 1}"
        )
    activity = text_field(source, line, row, "activity_label")
    begin = text_field(source, line, row, "ctx_a", may_be_empty=True)
    rest = text_field(source, line, row, "ctx_b", may_be_empty=True)
    names = tuple(chr(ord("A") + index) for index in range(len(endings)))
    return Choice(line, _cleaned(f"{activity}: {begin} {rest.capitalize()}"), endings, label, names)


def _cleaned(text: str) -> str:
    """Without the marks that WikiHow's texts brought along, as lm-evaluation-harness takes them out."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _texts(source: Source, line: int, values: object, what: str) -> tuple[str, ...]:
    """Texts of a list, none of them empty."""
    if not isinstance(values, list) or not 2 <= len(values) <= _MAX_CHOICES:
        raise source.wrong(line, f"{what!r} is {shown(values)}: expected a list of 2 to {_MAX_CHOICES} texts")
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise source.wrong(line, f"{what!r} has {shown(value)}: expected texts")
    return tuple(printable(value) for value in values)
