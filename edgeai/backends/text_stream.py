"""From the bytes of tokens to text: whole characters, and the end at a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Turns token bytes into text that may be shown at once.

    Characters that are split over tokens are held back until they are whole; text that may be the beginning of a stop
    string is held back until it is known not to be. Bytes that are not UTF-8 become U+FFFD.

    Attributes:
        stopped: a stop string was met; nothing more will come.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def push(self, data: bytes) -> str:
        """Add a token's bytes; returns the text that is certain by now (may be empty)."""
        text = self._decoder.decode(data)
        if not self._stop:
            return text
        if self.stopped:
            return ""
        self._held += text
        found = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            text, self._held = self._held[: min(found)], ""
            return text
        keep = self._n_held_back()
        cut = len(self._held) - keep
        text, self._held = self._held[:cut], self._held[cut:]
        return text

    def flush(self) -> str:
        """The text held back, at the end of the answer; a character whose last bytes never came is dropped."""
        text, self._held = self._held, ""
        return text

    def _n_held_back(self) -> int:
        """Characters at the end that a stop string may begin with."""
        longest = min(len(self._held), max(map(len, self._stop)) - 1)
        for size in range(longest, 0, -1):
            tail = self._held[-size:]
            if any(stop.startswith(tail) for stop in self._stop):
                return size
        return 0
