"""The stand-in classifier on a cluster; one of its workers is killed in the middle of a block."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeai.classify.types import Classification
from tests.tui.labeller import classification
from tui import classify_ray
from tui.classify_ray import Plan
from tui.cli import main

KILLED_AT = "number 777 "


class Classify:
    """Writes down which texts it had, so that it is seen which were classified twice; once it kills its process."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        self._file = (folder / f"asked.{os.getpid()}").open("a", encoding="utf-8")

    def __call__(self, texts: Iterable[str]) -> Iterator[Classification]:
        for text in texts:
            if KILLED_AT in text and not (self._folder / "killed").exists():
                (self._folder / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            print(text, file=self._file, flush=True)
            yield classification(self._plan.task, text)


def make(plan: Plan) -> Classify:
    """In place of `make_classifier`."""
    return Classify(plan, Path(str(plan.options["model"])))


if __name__ == "__main__":
    classify_ray.make_classifier = make
    setattr(classify_ray.Cluster, "identity", lambda *_: ["fake"])  # noqa: B010 - mypy: methods are not assigned to
    classify_ray.BLOCK_ROWS = 100
    sys.exit(main(sys.argv[1:]))
