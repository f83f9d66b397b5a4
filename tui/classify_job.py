"""What `edgeai classify` does: rows in, results kept as they come, a file or lines out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.cluster import identity
from edgeai.errors import DocumentError
from edgeai.records.journal import ResultJournal, as_json
from edgeai.records.read import Records
from tui import session_options
from tui.classify_output import Keeper, OutputFile, Tally
from tui.classify_print import RowPrinter
from tui.classify_progress import Pace
from tui.classify_rows import Added, Inputs, text_column
from tui.classify_stream import classified
from tui.classify_task import Task
from tui.docs_words import counted
from tui.output import message, print_json
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.session import Session
    from tui.classify_ray import Cluster

_COUNT = ("n_ctx", "type_k", "type_v")
"""Options of a session that results depend on: texts fit or not, scores are a little different."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for, besides the task.

    Attributes:
        column: of the text; None finds it.
        prefix: before the names of added columns.
        output: a file; None prints the rows.
        as_json: print JSON.
        cluster: of machines that do it; None does it here.
    """

    column: str | None
    prefix: str
    output: OutputFile | None
    as_json: bool
    cluster: Cluster | None = None


class Classifying:
    """One run over the rows of a file."""

    def __init__(self, records: Records, task: Task, wishes: Wishes, line: ProgressLine) -> None:
        """
        Raises:
            OptionError: a column is missing, or would be there twice.
        """
        self._records, self._task, self._wishes, self._line = records, task, wishes, line
        self._added = Added(task.labels, task.multi, wishes.prefix)
        self._column = text_column(records, wishes.column)
        self._opened_with: dict[str, Any] = {}
        self._inputs = Inputs(records, self._column, self._added.names())

    def run(self, opening: Mapping[str, Any]) -> int:
        """Do it; `opening`: options of the session. The exit code."""
        options = dict(opening)
        self._opened_with = {name: options[name] for name in _COUNT if name in options}
        output, cluster = self._wishes.output, self._wishes.cluster
        if cluster is not None and output is not None:
            settings = self._settings(cluster.identity(options.get("model")))
            return self._into(output, settings, lambda journal, pace: self._by_cluster(cluster, journal, pace))
        self._line.start()
        with session_options.open_session(options.pop("model", None), **options) as session:
            self._line.clear()
            if output is None:
                return self._printed(session)
            settings = self._settings(identity(session))
            return self._into(output, settings, lambda journal, pace: self._here(session, journal, pace))

    # --- into a file ---

    def _into(
        self, output: OutputFile, settings: Mapping[str, Any], work: Callable[[ResultJournal, Pace], None]
    ) -> int:
        if output.is_finished(settings):
            self._tell("done", f"{output.path}: it is finished already", "green")
            return 0
        with output.journal(settings) as journal:
            if journal.n_found:
                self._tell("note", f"goes on with earlier work: {counted(journal.n_found, 'row')} done", "yellow")
            pace = Pace(self._line, self._records.n_rows, journal.n_found)
            try:
                work(journal, pace)
                self._line.show(f"writing {output.path.name}")
                tally = output.finish(self._inputs, self._added, journal, settings)
            except BaseException:
                self._line.clear()
                self._tell_how_to_go_on(journal)
                raise
        return self._summed_up(tally, output.path, pace)

    def _here(self, session: Session, journal: ResultJournal, pace: Pace) -> None:
        keeper = Keeper(journal)

        def scored() -> None:
            keeper.flush()  # what came last waits for no more: those that come next take their time
            pace.scored()

        results = classified(self._inputs, self._task.classifier(session, scored), self._added, journal.is_done)
        try:
            with contextlib.closing(results):
                for index, _, result in results:
                    keeper.add(index, result)
                    pace.step()
        finally:
            keeper.flush()

    def _by_cluster(self, cluster: Cluster, journal: ResultJournal, pace: Pace) -> None:
        found = cluster.classified(self._inputs, self._task, self._added, journal.is_done)
        with contextlib.closing(found):
            for start, results in found:
                journal.add(start, results)
                pace.step(len(results))

    def _tell_how_to_go_on(self, journal: ResultJournal) -> None:
        if journal.n_done:
            done = f"{counted(journal.n_done, 'row')} in {journal.path}"
            self._tell("note", f"not finished: the same command goes on with what is done ({done})", "yellow")
        else:
            journal.remove()

    # --- onto the terminal ---

    def _printed(self, session: Session) -> int:
        printer = RowPrinter(self._added, self._column, self._line, as_json=self._wishes.as_json)
        pace, tally = Pace(self._line, self._records.n_rows), Tally(self._added)
        results = classified(self._inputs, self._task.classifier(session, pace.scored), self._added)
        with contextlib.closing(results):
            for _, row, result in results:
                printer.show(row.values, result)
                tally.count(result)
                pace.step()
        tally.n_broken = self._inputs.n_broken
        return self._summed_up(tally, None, pace)

    # --- words ---

    def _summed_up(self, tally: Tally, path: Path | None, pace: Pace) -> int:
        self._line.clear()
        for broken in self._inputs.broken:
            self._tell("warning", f"{self._records.source.name}: line {broken.line:,}: {broken.why}", "yellow")
        if more := self._inputs.n_broken - len(self._inputs.broken):
            self._tell("warning", f"{self._records.source.name}: {counted(more, 'more broken row')}", "yellow")
        if not tally.n_rows:
            raise DocumentError(f"{self._records.source.name}: it has no row that is whole: expected some")
        left_out = f"; {counted(tally.n_broken, 'broken row')} left out" if tally.n_broken else ""
        speed = f" ({pace.n_new / pace.seconds:,.1f} items/s)" if pace.n_new else ""
        self._tell("done", f"{f'{path}: ' if path else ''}{tally.text()}{left_out}{speed}", "green")
        if path is not None and self._wishes.as_json:
            print_json({"path": str(path), **tally.json(), "seconds": round(pace.seconds, 3), "n_new": pace.n_new})
        return int(bool(tally.n_failed or tally.n_broken))

    def _settings(self, model: Any) -> dict[str, Any]:
        """All that results depend on."""
        records = self._records
        settings = {
            "format": 1,
            "model": model,
            **self._task.settings(),
            "input": records.source.sha256,
            "read_as": [records.format, records.encoding, records.delimiter],
            "column": self._column,
            "prefix": self._wishes.prefix,
            **self._opened_with,
        }
        return as_json(settings)

    def _tell(self, prefix: str, text: str, color: str) -> None:
        self._line.clear()
        message(prefix, text, color)
