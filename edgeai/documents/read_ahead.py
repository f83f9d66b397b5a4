"""Reads files before they are asked for, several at a time: to read one occupies one processor."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeai.documents.types import Document
from edgeai.machine import available_memory_bytes, usable_cores

Progress = Callable[[int, int], None]
Read = Callable[[Path, Progress], Document]

_MOST_READERS = 8
_READER_BYTES = 2**29  # what reading a large file takes
_MOST_BYTES = 2**28  # of files that were begun and not yet taken, but for a single one


def n_readers() -> int:
    """How many files are best read at once on this machine."""
    return max(1, min(_MOST_READERS, usable_cores(), available_memory_bytes() // _READER_BYTES))


class ReadAhead:
    """What `read` makes of files that are taken in a known order.

    At most two files for each reader are begun and not yet taken, fewer where they are large.
    """

    def __init__(
        self, paths: Sequence[Path], read: Read, n_readers: int, on_progress: Callable[[Path, int, int], None]
    ):
        """Begin to read.

        Args:
            paths: in the order in which they will be taken.
            read: reads one file, in any thread; what it raises, `take` raises. It calls its second argument often.
            n_readers: files that are read at once.
            on_progress: told of the file that `take` waits for how far it is; called by any thread.
        """
        self._paths, self._read, self._on_progress = paths, read, on_progress
        self._most_begun = 2 * n_readers
        self._results: dict[int, Document | BaseException] = {}
        self._sizes: dict[int, int] = {}  # of what was begun and not yet taken
        self._next = itertools.count()
        self._n_taken = 0
        self._is_closed = False
        self._changed = threading.Condition()
        for _ in range(min(n_readers, len(paths))):
            # A daemon: a reader that Ctrl-C leaves behind is not waited for; its process ends with ours.
            threading.Thread(target=self._run, name="edgeai-reader", daemon=True).start()

    def take(self) -> Document:
        """The next file's document; waits for it. Only one thread takes.

        Raises:
            BaseException: what `read` raised.
        """
        with self._changed:
            number = self._n_taken
            while number not in self._results:
                self._changed.wait()
            result = self._results.pop(number)
            self._n_taken += 1
            del self._sizes[number]
            self._changed.notify_all()
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Begin no more files, and end those that are being read at their next sign of life."""
        with self._changed:
            self._is_closed = True
            self._results.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while (number := self._begin()) is not None:
            try:
                result: Document | BaseException = self._read(self._paths[number], self._telling(number))
            except BaseException as exc:  # noqa: BLE001 - for whoever takes it
                result = exc
            with self._changed:
                if not self._is_closed:
                    self._results[number] = result
                self._changed.notify_all()

    def _begin(self) -> int | None:
        with self._changed:
            number = next(self._next)
            if number >= len(self._paths):
                return None
            size = _size(self._paths[number])
            while not (self._is_closed or self._has_room(number, size)):
                self._changed.wait()
            self._sizes[number] = size
            return None if self._is_closed else number

    def _has_room(self, number: int, size: int) -> bool:
        """The file that is taken next always has: what is begun later may take all of it."""
        if number == self._n_taken:
            return True
        return number < self._n_taken + self._most_begun and sum(self._sizes.values()) + size <= _MOST_BYTES

    def _telling(self, number: int) -> Progress:
        def tell(n_done: int, n_total: int) -> None:
            if self._is_closed:
                raise _ClosedError
            if number == self._n_taken:
                self._on_progress(self._paths[number], n_done, n_total)

        return tell


class _ClosedError(Exception):
    """Nobody takes the file any more."""


def _size(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return path.stat().st_size
    return 0
