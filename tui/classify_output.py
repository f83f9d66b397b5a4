"""Where classifications go: a file with its journal, or the terminal."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeai import __version__
from edgeai.errors import EdgeAIError, OptionError
from edgeai.files import write_text
from edgeai.records.columns import Column
from edgeai.records.journal import ResultJournal, different
from edgeai.records.parquet import arrow
from edgeai.records.types import Format, format_of
from edgeai.records.write import check_output, written
from edgeai.safe_text import one_line
from tui.classify_rows import Added, Inputs, Result

_FLUSH_ITEMS = 64
_FLUSH_S = 1.0


class OutputFile:
    """A file of classified rows, which is written at the end, from what the journal beside it has kept until then.

    Attributes:
        path: the file.
        format: of it.
        run_path: what it was made with.
    """

    def __init__(self, path: Path, *, source: Path | None, resume: bool, force: bool) -> None:
        """
        Args:
            path: the file.
            source: which it must not replace.
            resume: one that is there may be finished, and is left as it is then.
            force: one that is there is replaced, and a journal of other settings thrown away.
        Raises:
            OptionError: nothing can be written there, or it is there.
        """
        self.path, self.format = path, _writable(format_of(path), path)
        self.run_path = path.with_name(path.name + ".run.json")
        self._journal_path = path.with_name(path.name + ".journal")
        self._resume, self._force = resume, force
        if self.format == "parquet":
            arrow()  # told before the work that it is missing
        for place in (path, self.run_path, self._journal_path):
            check_output(place)
        if source is not None and path.exists() and path.samefile(source):
            raise OptionError(f"{one_line(str(path))}: it is the input: expected another file; choose another name")
        if path.exists() and not self._journal_path.exists() and not (resume or force):
            raise OptionError(
                f"{one_line(str(path))}: it is there already: expected a new file; "
                "--force replaces it, --resume leaves it if it is finished"
            )

    def is_finished(self, settings: Mapping[str, Any]) -> bool:
        """Whether it is there and whole, made with the same settings.

        Raises:
            OptionError: it was made with others.
        """
        if not self._resume or not self.path.exists() or self._journal_path.exists():
            return False
        found = read_run(self.run_path).get("settings")
        if not isinstance(found, dict):
            why = f"no {one_line(self.run_path.name)} tells what it was made with"
        elif found != settings:
            why = f"it was made with other settings ({different(found, settings)})"
        else:
            return True
        raise OptionError(f"{one_line(str(self.path))}: {why}: choose another -o, or --force replaces it")

    def journal(self, settings: Mapping[str, Any]) -> ResultJournal:
        """The journal of the run."""
        return ResultJournal(self._journal_path, settings, replace=self._force)

    def finish(self, inputs: Inputs, added: Added, journal: ResultJournal, settings: Mapping[str, Any]) -> Tally:
        """Write the rows with their results, read once more; then the journal is not needed any more."""
        tally = Tally(added)
        for _, result in journal.results():
            tally.count(result)
        own = [column for column in added.columns() if tally.n_failed or column.name != added.prefix + "error"]
        columns: Sequence[Column] = [*inputs.columns(), *own]
        results = journal.results()
        with written(self.path, self.format, columns, json.dumps(settings, ensure_ascii=False)) as write:
            for index, row in inputs.rows():
                number, result = next(results, (-1, None))
                if number != index or result is None:
                    raise EdgeAIError(f"{journal.path}: row {index:,} has no result: run the same command again")
                write({**row.values, **added.values(result)})
        tally.n_broken = inputs.n_broken
        facts = {"edgeai": __version__, "settings": settings, **tally.json()}
        write_text(self.run_path, json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
        journal.remove()
        return tally


class Keeper:
    """Puts results into a journal, some at a time."""

    def __init__(self, journal: ResultJournal) -> None:
        self._journal = journal
        self._start, self._waiting = 0, list[Result]()
        self._kept = time.monotonic()

    def add(self, index: int, result: Result) -> None:
        """One more; durable soon."""
        if self._waiting and index != self._start + len(self._waiting):
            self.flush()
        if not self._waiting:
            self._start = index
        self._waiting.append(result)
        if len(self._waiting) >= _FLUSH_ITEMS or time.monotonic() - self._kept > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Keep what waits, now."""
        waiting, self._waiting = self._waiting, []
        self._journal.add(self._start, waiting)
        self._kept = time.monotonic()


class Tally:
    """How many rows got which label.

    Attributes:
        n_rows: that have a result.
        n_failed: of them, those without a label because of an error.
        n_broken: rows that were none, and are left out.
    """

    def __init__(self, added: Added) -> None:
        self._added = added
        self._counts: Counter[str] = Counter()
        self.n_rows = self.n_failed = self.n_broken = self._n_none = 0

    def count(self, result: Result) -> None:
        """One more result."""
        self.n_rows += 1
        self._counts.update(self._added.labels[number] for number in result[0])
        self.n_failed += bool(result[3])
        self._n_none += not result[0] and not result[3]

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "n_rows": self.n_rows,
            "labels": {label: self._counts[label] for label in self._added.labels},
            "n_without_label": self._n_none,
            "n_failed": self.n_failed,
            "n_broken": self.n_broken,
        }

    def text(self) -> str:
        """For people."""
        parts = [f"{self._counts[label]:,} {one_line(label)}" for label in self._added.labels[:12]]
        parts += ["…"] if len(self._added.labels) > 12 else []
        parts += [f"{self._n_none:,} without a label"] if self._n_none else []
        parts += [f"{self.n_failed:,} failed"] if self.n_failed else []
        return f"{self.n_rows:,} row{'' if self.n_rows == 1 else 's'}: {', '.join(parts)}"


def read_run(path: Path) -> dict[str, Any]:
    """What a file was made with; nothing where that is not known."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.stat().st_size < 1 << 26 else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _writable(format_: Format, path: Path) -> Format:
    if format_ == "lines":
        raise OptionError(f"{one_line(str(path))}: lines have no columns: expected .csv, .tsv, .jsonl or .parquet")
    return format_
