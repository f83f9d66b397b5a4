"""Words that are shown while they are said."""

from __future__ import annotations

from rich.cells import cell_len


def end_of(words: str, width: int) -> str:
    """As much of the end, which is what was said last, as so many cells hold."""
    while cell_len(words) > max(0, width):
        words = words[1:]
    return words
