"""MMLU and JMMLU: a CSV file a subject, without a head: question, four choices, the letter of the right one.

MMLU's authors publish `data/test/SUBJECT_test.csv`, `data/dev/SUBJECT_dev.csv` (five examples a subject) and
`data/val/SUBJECT_val.csv`; JMMLU's publish `JMMLU/SUBJECT.csv`, and no examples.

Source: github.com/hendrycks/test (Hendrycks et al. 2021); github.com/nlp-waseda/JMMLU (Yin et al. 2024).
"""

from __future__ import annotations

from pathlib import Path

from edgeai.errors import DocumentError
from edgeai.evaluation.source import Source, csv_rows, files_in, read_source, shown
from edgeai.evaluation.types import Choice, Subject

LETTERS = ("A", "B", "C", "D")
_HEAD = ["question", "a", "b", "c", "d", "answer"]
_WHAT = "a CSV file of questions, with the fields question, A, B, C, D and answer"
_PARTS = ("test", "val", "dev")


def read_mmlu(data: Path, n_examples: int) -> list[Subject]:
    """The subjects of MMLU.

    Args:
        data: the authors' folder `data`, one of the folders in it, or one file. Examples are those of the folder `dev`.
        n_examples: how many are wanted at most.
    Raises:
        DocumentError: a file is missing or broken.
    """
    folder = next((data / part for part in _PARTS if (data / part).is_dir()), data)
    is_dev = folder.name == "dev" or data.stem.endswith("_dev")
    files = files_in(folder, lambda path: path.suffix.lower() == ".csv", _WHAT)
    return [_subject(path, n_examples, may_have_examples=not is_dev) for path in files]


def read_jmmlu(data: Path, n_examples: int) -> list[Subject]:
    """The subjects of JMMLU. It has no examples of its own: the first questions of each file are taken for them.

    Args:
        data: the authors' folder `JMMLU`, or one file.
        n_examples: how many are wanted at most.
    Raises:
        DocumentError: a file is missing or broken.
    """
    files = files_in(data, lambda path: path.suffix.lower() == ".csv", _WHAT)
    return [_subject(path, n_examples, may_have_examples=False, is_spaced=True) for path in files]


def _subject(path: Path, n_examples: int, *, may_have_examples: bool, is_spaced: bool = False) -> Subject:
    name, _, part = path.stem.rpartition("_")
    name = name if part in _PARTS else path.stem
    source = read_source(path, _WHAT)
    questions, examples, files = _questions(source, is_spaced), [], source.files
    beside = (path.parent.parent / "dev", path.parent)
    found = next((dev for folder in beside if (dev := folder / f"{name}_dev.csv").is_file()), None)
    if n_examples and may_have_examples and found is not None:
        other = read_source(found, _WHAT)
        examples, files = _questions(other, is_spaced)[:n_examples], {**files, **other.files}
    elif n_examples:
        examples, questions = questions[:n_examples], questions[n_examples:]
    if not questions:
        raise DocumentError(
            f"{path}: all of its {len(examples)} questions would be examples: expected more; show fewer (--few-shot)"
        )
    return Subject(name, files, questions, examples)


def _questions(source: Source, is_spaced: bool) -> list[Choice]:
    """All questions; with `is_spaced` (JMMLU's choices have stray spaces) the space around choices is dropped."""
    found: list[Choice] = []
    for line, row in csv_rows(source):
        if not found and [field.strip().lower() for field in row] == _HEAD:
            continue
        if len(row) != len(_HEAD):
            raise source.wrong(line, f"{len(row)} fields: expected 6: question, A, B, C, D and answer")
        question, *choices, answer = row
        if answer.strip() not in LETTERS:
            raise source.wrong(line, f"the answer is {shown(answer)}: expected one of A, B, C, D")
        if not question.strip() or not all(choice.strip() for choice in choices):
            raise source.wrong(line, "a field is empty: expected a question and four choices")
        if is_spaced:
            choices = [choice.strip() for choice in choices]
        found.append(Choice(line, question.strip(), tuple(choices), LETTERS.index(answer.strip())))
    if not found:
        raise source.wrong(None, "there is no question in it: expected lines of question, A, B, C, D and answer")
    return found
