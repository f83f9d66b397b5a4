"""Ctrl-C that ends work at a moment that suits it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class CtrlC:
    """While the block runs, Ctrl-C raises KeyboardInterrupt within `interruptible` alone; the second one anywhere.

    What is being stored is so stored to its end.

    Attributes:
        pressed: whether it was.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._may_raise = False
        self._before: Any = None

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that Ctrl-C ends at once; one that was pressed before ends it here."""
        if self.pressed:
            raise KeyboardInterrupt
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

    def __enter__(self) -> CtrlC:
        if threading.current_thread() is threading.main_thread():  # no other may set a handler
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        again, self.pressed = self.pressed, True
        if self._may_raise or again:
            raise KeyboardInterrupt
