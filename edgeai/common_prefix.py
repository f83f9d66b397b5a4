"""How far two sequences are the same from their start."""

from __future__ import annotations

from typing import Any


def n_common(one: Any, other: Any) -> int:
    """Items with which both begin.

    Args:
        one: text, bytes, a list or a tuple.
        other: of the same kind. Halves are compared, which the interpreter does much faster than single items.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
