"""Which columns of a file are what `edgeai classify` has added to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.errors import OptionError
from edgeai.safe_text import one_line
from tui.classify_output import read_run

_SHARE = "p_"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of an output.

    Attributes:
        columns: all of them.
        text: what was classified.
        label: the label; of several labels a list.
        margin: between the likeliest ones.
        labels: to choose from.
        multi: several may apply.
        prefix: before the names of the columns that were added.
    """

    columns: tuple[str, ...]
    text: str
    label: str
    margin: str
    labels: tuple[str, ...]
    multi: bool
    prefix: str

    @property
    def probability(self) -> str:
        """The column with the label's probability; several labels have none."""
        name = f"{self.prefix}probability"
        return name if name in self.columns else ""

    @property
    def error(self) -> str:
        """The column with errors; where nothing failed there is none."""
        name = f"{self.prefix}error"
        return name if name in self.columns else ""

    @property
    def shares(self) -> tuple[str, ...]:
        """The columns of the labels' probabilities."""
        return tuple(f"{self.prefix}{_SHARE}{label}" for label in self.labels)

    @property
    def numbers(self) -> frozenset[str]:
        """The columns that hold numbers, even where a file has only texts."""
        return frozenset({self.probability, self.margin, *self.shares} - {""})

    @property
    def others(self) -> tuple[str, ...]:
        """What the input had besides the text."""
        own = {self.text, self.label, self.margin, self.probability, self.error, *self.shares}
        return tuple(name for name in self.columns if name not in own)

    def labels_of(self, value: Any) -> tuple[str, ...]:
        """The labels that stand in a cell."""
        if not self.multi:
            return (str(value),) if value not in (None, "") else ()
        if isinstance(value, str):
            try:
                value = json.loads(value) if value else []
            except (ValueError, RecursionError):
                value = [value]
        return tuple(map(str, value)) if isinstance(value, Sequence) else ()

    def cell_of(self, labels: Sequence[str]) -> str | None:
        """A cell for labels."""
        if self.multi:
            return json.dumps(list(labels), ensure_ascii=False)
        return labels[0] if labels else None


def layout_of(path: Path, columns: Sequence[str]) -> Layout:
    """What the columns of an output are, by its record and by their names.

    Raises:
        OptionError: it is none.
    """
    found = read_run(path.with_name(path.name + ".run.json")).get("settings")
    settings: Mapping[str, Any] = found if isinstance(found, dict) else {}
    prefixes = [settings.get("prefix"), *(name.removesuffix("margin") for name in columns if name.endswith("margin"))]
    for prefix in prefixes:
        names = [f"{prefix}{name}" for name in ("label", "labels")] if isinstance(prefix, str) else []
        label = next((name for name in names if name in columns), None)
        if label is not None and f"{prefix}margin" in columns:
            break
    else:
        raise OptionError(
            f"{one_line(str(path))}: no output of `edgeai classify`: expected the columns label and margin"
        )
    share = f"{prefix}{_SHARE}"
    text = str(settings.get("column"))
    return Layout(
        columns=tuple(columns),
        text=text if text in columns else "text" if "text" in columns else columns[0],
        label=label,
        margin=f"{prefix}margin",
        labels=tuple(name.removeprefix(share) for name in columns if name.startswith(share)),
        multi=label == f"{prefix}labels",
        prefix=str(prefix),
    )
