"""What is said of a picture beside its name."""

from __future__ import annotations

from collections.abc import Iterable

from edgeai.history_types import PictureRef

MAX_PICTURES = 20
"""Of one message."""
MAX_COLUMNS, MAX_ROWS = 40, 12
"""Cells that a picture takes in a conversation."""


def facts(ref: PictureRef, notes: Iterable[str] = (), *, is_sent: bool = False) -> str:
    """Its size, and the tokens that it takes.

    Args:
        ref: the picture.
        notes: such as "first of 12 frames".
        is_sent: else it goes with the next message.
    """
    without_eyes = "only its text was read" if is_sent else "text will be read"
    tokens = f"{ref.n_tokens:,} tokens" if ref.n_tokens else without_eyes if ref.n_tokens == 0 else ""
    return " · ".join(part for part in (f"{ref.width:,} x {ref.height:,}", tokens, *notes) if part)
