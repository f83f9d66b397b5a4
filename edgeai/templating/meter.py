"""What one rendering of a chat template may still use: time, memory, sizes of single values.

A template is code from a downloaded file. It runs in our process and in any thread, so nothing can interrupt it from
outside: every operation that can take long or make something large asks the meter first.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from jinja2 import Undefined

from edgeai.errors import ChatTemplateError

TIME_LIMIT_S = 2.0
BASE_BYTES = 32_000_000
BASE_CHARS = 1_000_000
BASE_ITEMS = 200_000
MAX_MACRO_DEPTH = 50
BYTES_PER_CHAR = 64
BYTES_PER_MESSAGE = 16_384
SCALARS = frozenset({str, int, float, bool, type(None)})


class Meter:
    """Counts down while a template is rendered. Limits grow with the conversation, which is not the template's doing.

    Attributes:
        max_chars: characters that one string may have.
        max_items: values that one operation may visit.
        macro_depth: macros that are running inside each other.
    """

    def __init__(self, n_chars: int = 0, n_messages: int = 0) -> None:
        self.max_chars = BASE_CHARS + 4 * n_chars
        self.max_items = BASE_ITEMS + 10 * n_messages
        self.macro_depth = 0
        self._bytes_left = BASE_BYTES + BYTES_PER_CHAR * n_chars + BYTES_PER_MESSAGE * n_messages
        self._deadline = time.monotonic() + TIME_LIMIT_S

    def spend(self, n_bytes: int) -> None:
        """Note that memory is taken, which may be freed again; also looks at the clock.

        Raises:
            ChatTemplateError: too much in all, or too late.
        """
        self._bytes_left -= n_bytes
        if self._bytes_left < 0:
            raise ChatTemplateError("the chat template uses too much memory: it is broken or hostile, use another")
        if time.monotonic() > self._deadline:
            raise ChatTemplateError(
                f"the chat template runs longer than {TIME_LIMIT_S:g} s: it is broken or hostile, use another"
            )

    def spend_on(self, value: Any) -> None:
        """Note a new value that an operation made."""
        if type(value) is str:
            self.spend(sys.getsizeof(value))
        elif type(value) is list:
            self.spend(100 + 64 * len(value))
        else:
            self.spend(100)

    def allow_chars(self, n_chars: int) -> None:
        """Raises ChatTemplateError when a string of this size would be too long."""
        if n_chars > self.max_chars:
            raise ChatTemplateError(
                f"the chat template makes a text of {n_chars:.3g} characters where {self.max_chars:,} are allowed: "
                "it is broken or hostile, use another"
            )

    def allow_items(self, n_items: int) -> None:
        """Raises ChatTemplateError when this is too much to be copied or visited at once."""
        if n_items > self.max_items:
            raise ChatTemplateError(
                f"the chat template works on {n_items:.3g} values at once where {self.max_items:,} are allowed: "
                "it is broken or hostile, use another"
            )

    def check(self, value: Any) -> Any:
        """Walk through a value as printing, comparing, hashing or JSON would, which cannot be interrupted.

        A list may hold another list many times over, and so on: ten lines of template make one whose text fills any
        memory. What is shared is counted as often as it would be visited.

        Returns:
            The same value.
        """
        self.spend(8)
        if type(value) in SCALARS:
            return value
        n_items, n_chars, waiting = 1, 0, [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                n_chars += len(item)
                self.allow_chars(n_chars)
                continue
            if isinstance(item, dict):
                parts = [*item, *item.values()]
            elif isinstance(item, (list, tuple)):
                parts = list(item)
            elif type(item) in SCALARS or isinstance(item, Undefined):
                continue
            else:
                raise ChatTemplateError(
                    f"the chat template prints or compares a {type(item).__name__}, which is no value: use another"
                )
            n_items += len(parts)
            self.allow_items(n_items)
            waiting += parts
        return value
