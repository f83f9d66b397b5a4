"""A job from its plan to its end: what it depends on, what it costs, and the steps that are kept until it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.documents.types import Document
from edgeai.notes.journal import Journal
from edgeai.notes.meter import Budget, Meter
from edgeai.notes.prompts import VERSION
from edgeai.notes.steps import Ask, Planner, StepProgress, Worker

if TYPE_CHECKING:
    from edgeai.session import Session

SAMPLING: Mapping[str, Any] = {"temperature": 0.0, "repeat_penalty": 1.1}
"""The likeliest token: the same documents give the same notes. Small models then repeat themselves, unless it costs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job comes to.

    Attributes:
        budget: steps and tokens.
        seconds: about how long it takes here; None where that is not known.
        read_per_s: tokens.
        written_per_s: tokens.
    """

    budget: Budget
    seconds: float | None
    read_per_s: float | None
    written_per_s: float | None


class Job:
    """Work on documents with one model, which goes on where it was when it is asked for again.

    Attributes:
        journal: what is kept.
        is_finished: the result is where it belongs, and nothing needs to be kept any more.
    """

    def __init__(
        self, session: Session, documents: Sequence[Document], wanted: Mapping[str, Any], sampling: Mapping[str, Any]
    ) -> None:
        """
        Args:
            session: whose model works.
            documents: what it works on.
            wanted: what else the result depends on, as JSON can hold it.
            sampling: how tokens are chosen, where the user has said so.
        Raises:
            DocumentError: the same job is running in another process.
        """
        self._session = session
        self._sampling = {**SAMPLING, **sampling}
        facts = {
            "version": VERSION,
            "model": _identity(session),
            "documents": [[document.path.name, document.sha256] for document in documents],
            "wanted": dict(wanted),
            "sampling": self._sampling,
        }
        self.journal = Journal(hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32])
        self._meter = Meter()
        self._budget = Budget()
        self.is_finished = False

    def plan(self, work: Callable[[Ask], object]) -> Plan:
        """What `work` comes to, in which all is done but the model's answers."""
        planner = Planner(self._session, self.journal)
        work(planner)
        self._budget = planner.budget
        self._meter.try_out(self._session)
        read, written = self._meter.rates
        seconds = self._meter.seconds(self._budget.n_read, self._budget.n_written)
        return Plan(self._budget, seconds, read, written)

    def ask(self, on_progress: Callable[[StepProgress], None]) -> Ask:
        """What does the steps, once they are planned."""
        return Worker(self._session, self.journal, self._budget, self._meter, self._sampling, on_progress)


@contextmanager
def opened(
    session: Session, documents: Sequence[Document], wanted: Mapping[str, Any], sampling: Mapping[str, Any]
) -> Iterator[Job]:
    """A job whose journal is closed at the end; it stays, unless the job is finished or nothing was done."""
    job = Job(session, documents, wanted, sampling)
    try:
        yield job
    finally:
        if job.is_finished or job.journal.is_empty:
            job.journal.remove()
        job.journal.close()


def _identity(session: Session) -> list[Any]:
    """Of the model: another file, or another content, has another one. Its window does not count: pieces tell that."""
    info = session.info
    try:
        status = Path(info.path).stat()
        numbers = [status.st_size, status.st_mtime_ns]
    except OSError:
        numbers = []
    return [info.name, info.architecture, info.n_params, info.size_bytes, *numbers]
