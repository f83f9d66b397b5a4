"""One line on the terminal that says what is going on, and is gone when the answer comes."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from edgeai.backends.base import PrefillProgress

_AFTER_S = 0.3
"""What is quicker than this needs no line."""


class ProgressLine:
    """Shows on stderr while that is a terminal; else it does nothing. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shows = sys.stderr.isatty()
        self._started = time.monotonic()
        self._is_visible = False

    def start(self) -> None:
        """Something new begins that may take a while."""
        with self._lock:
            self._started = time.monotonic()

    def show(self, text: str) -> None:
        """Put this text in place of the last one."""
        with self._lock:
            if self._shows and time.monotonic() - self._started > _AFTER_S:
                self._is_visible = True
                sys.stderr.write(f"\r\x1b[2m{text}\x1b[0m\x1b[K")
                sys.stderr.flush()

    def loading(self, share: float) -> None:
        """A model is being loaded; for `Session(on_load_progress=…)`."""
        self.show(f"loading the model: {share:.0%}")

    def reading(self, progress: PrefillProgress) -> None:
        """A prompt is being evaluated; for `Session.chat(on_progress=…)`."""
        self.show(f"reading: {progress.n_done:,} of {progress.n_total:,} tokens")

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._is_visible:
                self._is_visible = False
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
