"""A thread that lives as long as the process and calls functions for others."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class LastingThread:
    """One thread; those who call wait for their turn and for their result."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def run(self, function: Callable[[], Any]) -> Any:
        """Call a function in the thread.

        Returns:
            What it returns; what it raises is raised here.
        """
        result: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._calls.put((function, result))
        value, error = result.get()
        if error is not None:
            raise error
        return value

    def _serve(self) -> None:
        while True:
            function, result = self._calls.get()
            try:
                result.put((function(), None))
            except BaseException as exc:  # noqa: BLE001 - the caller gets it
                result.put((None, exc))
