"""A stand-in for a classifier: the label is the one whose name stands in the text, and it says so surely."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from edgeai.classify.types import Classification
from edgeai.session import Session
from tests.fakes import FakeBackend
from tui import session_options
from tui.classify_task import Task
from tui.cli import main


class Labeller:
    """In place of `Task.classifier`; reads ahead as the real one does.

    Attributes:
        tasks: what each classifier was made of.
        asked: texts that were classified.
        window: texts that are read before the first result.
        ends_after: so many texts, `end` is called.
    """

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.asked: list[str] = []
        self.window = 4
        self.ends_after: int | None = None
        self.end: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGKILL)

    def make(
        self, task: Task, session: Session, on_scored: Callable[[], None] | None = None
    ) -> Callable[[Iterable[str]], Iterator[Classification]]:
        self.tasks.append(task)
        return lambda texts: self._classify(task, texts)

    def _classify(self, task: Task, texts: Iterable[str]) -> Iterator[Classification]:
        waiting: list[str] = []
        for text in texts:
            waiting.append(text)
            if len(waiting) == self.window:
                yield from self._window(task, waiting)
                waiting = []
        yield from self._window(task, waiting)

    def _window(self, task: Task, texts: list[str]) -> Iterator[Classification]:
        for text in texts:
            if len(self.asked) == self.ends_after:
                self.end()
            self.asked.append(text)
            yield classification(task, text)


def classification(task: Task, text: str) -> Classification:
    """What becomes of a text; one that is too long is an error."""
    if len(text) > 1000:
        return Classification(None, error="the text does not fit: cut it (truncate)")
    found = tuple(label for label in task.labels if label in text)
    if task.multi:
        shares = {label: 0.9 if label in found else 0.05 for label in task.labels}
        return Classification(found[0] if found else None, found, shares, margin=0.8)
    rest = 0.25 / max(len(task.labels) - 1, 1)
    label = found[0] if found else task.labels[0]
    shares = {name: 0.75 if name == label else rest for name in task.labels}
    if not found and task.abstain_below:
        return Classification(None, (), shares, margin=0.75 - rest)
    return Classification(label, (label,), shares, margin=0.75 - rest)


def put_in_place(labeller: Labeller, put: Callable[[Any, str, Any], None]) -> None:
    """`put` sets an attribute: a test's monkeypatch, or setattr."""
    put(Task, "classifier", lambda task, session, on_scored=None: labeller.make(task, session, on_scored))
    put(session_options, "open_session", lambda _model, **_options: Session(backend=FakeBackend()))


if __name__ == "__main__":  # ends after so many texts; the command follows
    killed = Labeller()
    killed.ends_after = int(sys.argv[1])
    put_in_place(killed, setattr)
    sys.exit(main(sys.argv[2:]))
