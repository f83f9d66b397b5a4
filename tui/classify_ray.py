"""Classification on a cluster: workers have a session each, and get blocks of texts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai import cluster
from edgeai.errors import GenerationError
from tui.classify_rows import Added, Inputs, Result, failed
from tui.classify_task import Task

if TYPE_CHECKING:
    from tui.classify_task import Classify

BLOCK_ROWS = 512
_logger = logging.getLogger(__name__)

Block = list[tuple[int, str, str]]
"""Rows: the number, the text, and why there is none."""

MakeClassifier = Callable[["Plan"], "Classify"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What each worker needs to know.

    Attributes:
        task: what the classifier is made of.
        added: what results look like.
        options: of its session; the model's name or path must mean the same file on each machine.
        identity: of the model, as the results depend on it.
        make: makes the classifier.
    """

    task: Task
    added: Added
    options: Mapping[str, Any]
    identity: Sequence[Any]
    make: MakeClassifier


def make_classifier(plan: Plan) -> Classify:
    """A session on the plan's model, and its classifier; the session lives as long as the process."""
    from tui import session_options

    options = dict(plan.options)
    session = session_options.open_session(options.pop("model", None), **options)
    cluster.check_identity(session, plan.identity)
    return plan.task.classifier(session)


class Worker:
    """Classifies blocks."""

    def __init__(self, plan: Plan, n_cores: int) -> None:
        self._plan = replace(plan, options={"n_threads": n_cores, **plan.options})
        self._classify = plan.make(self._plan)

    def __call__(self, block: Block) -> list[tuple[int, list[Result]]]:
        """The results of each run of rows, with the number of its first one."""
        found = self._results([text for _, text, why in block if not why])
        results = [failed(why) if why else next(found) for _, _, why in block]
        runs = [list(run) for _, run in groupby(range(len(block)), key=lambda place: block[place][0] - place)]
        return [(block[run[0]][0], [results[place] for place in run]) for run in runs]

    def _results(self, texts: Sequence[str]) -> Iterator[Result]:
        try:
            found = list(self._classify(texts))
        except GenerationError as exc:  # the engine crashed: the next one may not
            _logger.warning("once more, after: %s", exc)
            self._classify = self._plan.make(self._plan)
            found = list(self._classify(texts))
        return map(self._plan.added.result, found)


@dataclass(slots=True)
class Cluster(cluster.Cluster):
    """A cluster that classifies.

    Attributes:
        options: of a session.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    _identity: list[Any] = field(default_factory=list)

    def identity(self, model: str | None) -> list[Any]:
        """Of the model's file here."""
        from edgeai.catalog import Catalog

        self._identity = cluster.model_identity(Path(Catalog.load().resolve(model).path))
        return self._identity

    def classified(
        self, inputs: Inputs, task: Task, added: Added, is_done: Callable[[int], bool]
    ) -> Generator[tuple[int, list[Result]]]:
        """Results of runs of rows, each with the number of its first one, in any order."""
        plan = Plan(task, added, self.options, self._identity, make_classifier)
        for found in self.mapped(_blocks(inputs, is_done), partial(Worker, plan)):
            yield from found


def _blocks(inputs: Inputs, is_done: Callable[[int], bool]) -> Iterator[Block]:
    """Rows that are to be done."""
    waiting: Block = []
    for index, row in inputs.rows():
        if not is_done(index):
            waiting.append((index, *inputs.text_of(row)))
        if len(waiting) >= BLOCK_ROWS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
