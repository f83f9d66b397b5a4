"""Jaster: the files that llm-jp-eval makes of Japanese (and English) data sets, one JSON object each.

    {"instruction": "…", "output_length": 15, "metrics": ["char_f1"], "few_shots": [{"input", "output"}],
     "samples": [{"input": "質問：…", "output": "…"}]}

Newer versions keep the examples in the file of the same name in the folder `train` (or `dev`) beside `test`.

Source: github.com/llm-jp/llm-jp-eval, DATASET.md (the layout) and its evaluation scripts (where examples come from).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from edgeai.errors import DocumentError
from edgeai.evaluation.metrics import METRICS, WRITTEN
from edgeai.evaluation.source import Source, files_in, json_object, read_source, shown, text_field
from edgeai.evaluation.types import Exercise, Subject
from edgeai.safe_text import one_line

_WHAT = "a JSON file of llm-jp-eval (instruction, output_length, metrics, samples)"
_MAX_LENGTH = 4096  # tokens: of any answer that is compared as a whole

_log = logging.getLogger(__name__)


def read_jaster(data: Path, n_examples: int) -> list[Subject]:
    """The data sets of Jaster.

    Args:
        data: a file, or a folder of them, such as `evaluation/test`.
        n_examples: how many are wanted at most: the file's own, else those of `train` or `dev` beside its folder, else
            its first samples, which are not asked then.
    Raises:
        DocumentError: a file is missing or broken, or none has a metric that is known here (where some
            have one, the others are left out, with a line in the log).
    """
    files = files_in(data, lambda path: path.suffix.lower() == ".json", _WHAT)
    found, unknown = list[Subject](), list[DocumentError]()
    for path in files:
        source = read_source(path, _WHAT)
        row = json_object(source, source.text)
        metrics = _metrics(source, row)
        if metrics:
            found.append(_subject(source, row, metrics, n_examples))
            if others := [name for name in row["metrics"] if name not in WRITTEN]:
                _log.warning("%s: not scored: %s", one_line(str(path)), shown(others))
        else:
            unknown.append(source.wrong(None, _not_scored(row)))
    if not found:
        raise unknown[0]
    for exc in unknown:
        _log.warning("left out: %s", exc)
    return found


def _not_scored(row: dict[str, Any]) -> str:
    return (
        f"'metrics' is {shown(row['metrics'])}: translations and programs are not scored; expected {', '.join(WRITTEN)}"
    )


def _subject(source: Source, row: dict[str, Any], metrics: tuple[str, ...], n_examples: int) -> Subject:
    length = row.get("output_length")
    if not isinstance(length, int) or isinstance(length, bool) or not 0 < length <= _MAX_LENGTH:
        raise source.wrong(None, f"'output_length' is {shown(length)}: expected tokens, 1 to {_MAX_LENGTH:,}")
    instruction = text_field(source, None, row, "instruction", may_be_empty=True)
    questions, files = _samples(source, row, "samples"), source.files
    examples: list[Exercise] = []
    if n_examples and isinstance(row.get("few_shots"), list) and row["few_shots"]:
        examples = _samples(source, row, "few_shots")[:n_examples]
    elif n_examples and (other := _examples_beside(source.path)) is not None:
        training = read_source(other, _WHAT)
        examples = _samples(training, json_object(training, training.text), "samples")[:n_examples]
        files = {**files, **training.files}
    elif n_examples:
        examples, questions = questions[:n_examples], questions[n_examples:]
    if not questions:
        raise source.wrong(None, "there is no sample to ask: expected more; ask with fewer examples (--few-shot)")
    if any(METRICS[name].is_correlation for name in metrics):
        _check_numbers(source, questions)
    return Subject(source.path.stem, files, questions, examples, instruction, metrics, length)


def _check_numbers(source: Source, questions: Sequence[Exercise]) -> None:
    for question in questions:
        try:
            is_number = isfinite(float(question.answer))
        except ValueError:
            is_number = False
        if not is_number:
            words = f"'output' is {shown(question.answer)}: expected a number, as pearson and spearman need"
            raise source.wrong(None, f"{words} (in samples {question.line})")


def _metrics(source: Source, row: dict[str, Any]) -> tuple[str, ...]:
    """Those metrics that are known here."""
    named = row.get("metrics")
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise source.wrong(None, f"'metrics' is {shown(named)}: expected a list of names")
    return tuple(name for name in WRITTEN if name in named)


def _samples(source: Source, row: dict[str, Any], name: str) -> list[Exercise]:
    listed = row.get(name)
    if not isinstance(listed, list):
        raise source.wrong(None, f"{name!r} is {shown(listed)}: expected a list of inputs and outputs")
    found = []
    for number, sample in enumerate(listed, 1):
        if not isinstance(sample, dict):
            raise source.wrong(None, f"{name} {number} is {shown(sample)}: expected an input and an output")
        try:
            question = text_field(source, None, sample, "input")
            answer = text_field(source, None, sample, "output", may_be_empty=True)
        except DocumentError as exc:
            raise DocumentError(f"{exc} (in {name} {number})") from exc
        found.append(Exercise(number, question, answer))
    return found


def _examples_beside(path: Path) -> Path | None:
    folders = [path.absolute().parent.parent / part for part in ("train", "dev")]
    return next(
        (found for folder in folders if (found := folder / path.name).is_file() and folder != path.parent), None
    )
