"""What reading a document may cost: memory, time, output."""

from __future__ import annotations

from edgeai.sandbox import Policy

MAX_FILE_BYTES = 2**30
MAX_TEXT_BYTES = 64 * 2**20
"""All blocks together, as UTF-8: some 16 million tokens."""
MAX_BLOCKS = 1_000_000
MAX_PAGES = 200_000
STALL_S = 30.0
"""Seconds without a sign of life."""

_MEMORY_BYTES = 2**30
_MEMORY_PER_BYTE = 6  # the file itself, its text as str, what a parser makes of it
_START_S = 120.0
_BYTES_PER_S = 50_000.0  # the slowest of tried files takes a twentieth of it on two cores
_PAGE_S = 0.5
_SCAN_S = 10.0  # to draw a page, on a small board


def policy(n_bytes: int) -> Policy:
    """The sandbox for a file of so many bytes: it reads no file, not even this one, and writes none."""
    return Policy(memory_bytes=_MEMORY_BYTES + _MEMORY_PER_BYTE * n_bytes)


def total_s(n_bytes: int, n_pages: int | None, *, is_scanned: bool = False) -> float:
    """Seconds that reading may take in all; more where pages are drawn."""
    return _START_S + n_bytes / _BYTES_PER_S + (_SCAN_S if is_scanned else _PAGE_S) * (n_pages or 0)
