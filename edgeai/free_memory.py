"""Memory that was freed, handed back to the system."""

from __future__ import annotations

import ctypes
import sys


def return_memory() -> None:
    """Give back what the allocator keeps: glibc keeps hundreds of MB of what networks computed with."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
