"""Summaries of many documents made on a cluster: a document is one worker's, and what it answers is kept here.

A worker does the very steps that would be done here, so that the work here then finds them done. What it has begun is
kept on its machine too: whoever gets the document there next goes on from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from edgeai.cluster import Cluster, check_identity
from edgeai.documents.types import Document
from edgeai.notes.condense import Wishes
from edgeai.notes.job import opened
from edgeai.notes.journal import Journal
from edgeai.notes.steps import Ask, Step
from edgeai.notes.summarize import summarize

if TYPE_CHECKING:
    from edgeai.session import Session

OnDocument = Callable[[int, int], None]
"""Told how many documents are done and how many there are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What each worker needs to know.

    Attributes:
        wishes: what summaries are to be like.
        sampling: how tokens are chosen, where the user has said so.
        options: of its session; the model's name or path must mean the same file on each machine.
        identity: of the model.
        open_session: opens a session, as the class does.
    """

    wishes: Wishes
    sampling: Mapping[str, Any]
    options: Mapping[str, Any]
    identity: Sequence[Any]
    open_session: Callable[..., Session]


class Worker:
    """Summarises documents, in a process of its own."""

    def __init__(self, plan: Plan, n_cores: int) -> None:
        self._plan = plan
        options = {"n_threads": n_cores, **plan.options}
        self._session = plan.open_session(options.pop("model", None), **options)
        check_identity(self._session, plan.identity)

    def __call__(self, document: Document) -> dict[str, str]:
        """The texts of a document's steps, by their keys."""
        plan, done = self._plan, dict[str, str]()
        facts = {"on": "a cluster", "path": str(document.path), **dataclasses.asdict(plan.wishes)}
        with opened(self._session, [document], facts, plan.sampling) as job:
            ask = job.ask(lambda _progress: None)

            def noted(step: Step) -> str:
                done[step.key] = ask(step)
                return done[step.key]

            summarize(self._session, [document], noted, plan.wishes)
            job.is_finished = True
        return done


@dataclass(frozen=True, slots=True)
class Helpers:
    """Who does most of the steps of a summary.

    Attributes:
        cluster: of machines.
        plan: for its workers.
        on_document: told of each document that comes back.
    """

    cluster: Cluster
    plan: Plan
    on_document: OnDocument

    @contextmanager
    def helping(self, session: Session, documents: Sequence[Document], journal: Journal, ask: Ask) -> Iterator[Ask]:
        """What has documents done on the cluster as long as a step lacks, and does here what then still does."""
        lacking = [document for document in documents if not self._is_done(session, document, journal)]
        with closing(self.cluster.mapped(lacking, partial(Worker, self.plan))) as found:
            n_done = 0

            def helped(step: Step) -> str:
                nonlocal n_done
                while n_done < len(lacking) and journal.get(step.key) is None:
                    self.on_document(n_done, len(lacking))
                    for key, text in next(found, {}).items():
                        if journal.get(key) is None:
                            journal.put(key, text)
                    n_done += 1
                return ask(step)

            yield helped

    def _is_done(self, session: Session, document: Document, journal: Journal) -> bool:
        def kept(step: Step) -> str:
            if (text := journal.get(step.key)) is None:
                raise _LackingError
            return text

        try:
            summarize(session, [document], kept, self.plan.wishes)
        except _LackingError:
            return False
        return True


class _LackingError(Exception):
    """A step is not done."""
