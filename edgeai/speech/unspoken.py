"""What of an answer was not heard, because it was interrupted while it was read out."""

from __future__ import annotations

NOT_SPOKEN = " …"
"""Ends a message that was interrupted, in the conversation that the model sees."""


def unspoken(whole: str, said: str) -> str:
    """What of a text follows the sentences that sounded; they differ in their spaces at most."""
    rest = whole
    for word in said.split():
        place = rest.find(word)
        if place < 0:
            break
        rest = rest[place + len(word) :]
    return rest.strip()
