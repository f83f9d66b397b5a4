"""What reading a picture may cost: memory, time, size."""

from __future__ import annotations

from edgeai.sandbox import Policy

MAX_FILE_BYTES = 2**29
"""Four bytes for each of MAX_PIXELS."""
MAX_PIXELS = 128_000_000
"""Of a file, by its header."""
STALL_S = 60.0
"""Seconds for one picture: five times what the largest takes on two busy cores."""

_MEMORY_BYTES = 9 * 2**28  # the largest WebP and JPEG 2000 take 2 and 2.3 GB; a telephone's photograph, a tenth


def policy() -> Policy:
    """The sandbox: it reads no file, not even the picture's, and writes none."""
    return Policy(memory_bytes=_MEMORY_BYTES + MAX_FILE_BYTES)
