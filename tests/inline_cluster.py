"""A cluster in place of Ray's: one worker, in this process, which pickles what it gets and gives as Ray does."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterable
from typing import Any

from edgeai.cluster import Cluster, Work, WorkerOf


class InlineCluster(Cluster):
    """Does items one after the other.

    Attributes:
        done: the items, as they were done.
        fails_after: so many items, the cluster is gone.
    """

    def __init__(self, fails_after: int | None = None) -> None:
        self.address, self.n_workers = "inline", 1
        self.done: list[Any] = []
        self.fails_after = fails_after

    def mapped(
        self,
        items: Iterable[Any],
        make: Callable[[int], Work],
        *,
        worker_of: WorkerOf = "machine",
        in_order: bool = False,
    ) -> Generator[Any]:
        del worker_of, in_order
        work: Work = pickle.loads(pickle.dumps(make))(1)
        for item in items:
            if len(self.done) == self.fails_after:
                raise ConnectionError("the cluster is gone")
            self.done.append(item)
            yield pickle.loads(pickle.dumps(work(pickle.loads(pickle.dumps(item)))))
