"""What texts are to be sorted by: labels, instructions and examples, as options and files give them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeai.classify.types import Calibrate, Classification, Example
from edgeai.errors import EdgeAIError, OptionError
from edgeai.records.read import ReadOptions, Records
from edgeai.records.source import file_source
from edgeai.records.types import BrokenRow, format_of
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgeai.session import Session

    Classify = Callable[[Iterable[str]], Iterator[Classification]]

_MAX_TEXT_BYTES = 1 << 22
_MAX_EXAMPLES = 10_000
_LOOKS_LIKE_A_FILE = re.compile(r"\S+\.(txt|md|markdown|prompt)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Task:
    """What a classifier is made of.

    Attributes:
        labels: to choose from.
        instructions: what they mean; None for a plain sentence.
        examples: that have their labels.
        multi: several labels may apply to a text, or none.
        calibrate: against what the model says of texts without content.
        abstain_below: no label where the probability is less; None never abstains.
        truncate: cut texts that do not fit.
    """

    labels: tuple[str, ...]
    instructions: str | None = None
    examples: tuple[Example, ...] = ()
    multi: bool = False
    calibrate: Calibrate = "auto"
    abstain_below: float | None = None
    truncate: bool = False

    def settings(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return dataclasses.asdict(self)

    def classifier(self, session: Session, on_scored: Callable[[], None] | None = None) -> Classify:
        """What classifies texts, in their order; `on_scored` is told of each, before its turn comes."""
        from edgeai.classify.classifier import Classifier

        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Classifier(session, **options, on_scored=on_scored).classify


def take_labels(text: str | None, path: Path | None, *, multi: bool) -> tuple[str, ...]:
    """The labels of `--labels a,b,c` and of a file with one a line.

    Raises:
        click.UsageError: there are none.
        OptionError: the file cannot be read, or they make no sense.
    """
    from edgeai.classify.labels import checked_labels

    if text is None and path is None:
        raise click.UsageError("no labels: expected --labels positive,negative or --labels-file FILE, one a line")
    labels = [label.strip() for label in text.split(",")] if text is not None else []
    if path is not None:
        lines = (line.strip() for line in _text_of(path, "labels, one a line").splitlines())
        labels += [line for line in lines if line]
    return checked_labels(labels, multi=multi, special_tokens=())


def take_instructions(value: str | None) -> str | None:
    """Instructions as they are typed, or those in a file of that name.

    Raises:
        OptionError: it is named like a file, and there is none; or it cannot be read.
    """
    if value is None:
        return None
    try:
        is_file = len(value) < 1024 and Path(value).is_file()
    except (OSError, ValueError):
        is_file = False
    if is_file or _LOOKS_LIKE_A_FILE.fullmatch(value):
        return _text_of(Path(value), "instructions").strip()
    return value.strip()


def take_examples(path: Path | None, column: str | None, labels: Sequence[str], *, multi: bool) -> tuple[Example, ...]:
    """The examples in a file: rows with a text and a `label`, or `labels`.

    Args:
        path: of the file: JSONL, CSV or Parquet.
        column: of the text; None takes `text`.
        labels: to choose from.
        multi: several may apply.
    Raises:
        OptionError: one of them is no example.
    """
    if path is None:
        return ()
    records = Records(file_source(path), ReadOptions(format_of(path, "jsonl")))
    examples: list[Example] = []
    for row in records:
        place = f"{one_line(str(path))}: line {row.line:,}: "
        if isinstance(row, BrokenRow):
            raise OptionError(f"{place}{row.why}")
        examples.append(_example(row.values, column, labels, multi, place))
        if len(examples) > _MAX_EXAMPLES:
            raise OptionError(f"{place}more than {_MAX_EXAMPLES:,} examples: expected a few that show the rule")
    return tuple(examples)


def _example(values: Mapping[str, Any], column: str | None, labels: Sequence[str], multi: bool, place: str) -> Example:
    text = values.get(column or "text", values.get("text"))
    found = values.get("labels") if multi and values.get("labels") is not None else values.get("label")
    if isinstance(found, str) and multi and found not in labels:
        found = [part.strip() for part in found.split(",") if part.strip()]
    own = [found] if isinstance(found, str) else found
    if not isinstance(text, str) or not text.strip():
        raise OptionError(f"{place}no text: expected {column or 'text'!r} and 'label' in each example")
    if not isinstance(own, list) or not all(isinstance(label, str) for label in own) or (not multi and len(own) != 1):
        raise OptionError(f"{place}no label: expected {'labels' if multi else 'label'!r} beside the text")
    unknown = next((label for label in own if label not in labels), None)
    if unknown is not None:
        some = ", ".join(map(one_line, labels[:8]))
        raise OptionError(f"{place}the label {unknown[:80]!r}: expected one of those that are asked for: {some}")
    return Example(text, tuple(own))


def _text_of(path: Path, what: str) -> str:
    from edgeai import regular_file
    from edgeai.documents.reading.encoding import decode

    try:
        with regular_file.opened(path, what, _MAX_TEXT_BYTES, OptionError) as (file, _):
            return decode(file.readall() if hasattr(file, "readall") else file.read())
    except EdgeAIError as exc:
        raise OptionError(f"{one_line(str(path))}: {exc}") from exc
