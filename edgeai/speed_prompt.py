"""A prompt to measure speed with: whatever model reads it, it goes on for as long as it is asked to."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeai.session import Session


def speed_prompt(session: Session, n_tokens: int, index: int) -> str:
    """Counting upwards: a model goes on with it and does not end early.

    Args:
        session: whose tokens are counted.
        n_tokens: the length, tokens; as many whole numbers as fit, one at least.
        index: of the repetition. Each starts with other tokens, so that nothing evaluated before is reused.
    """
    numbers = [str(100_000 * (index + 1) + number) for number in range(n_tokens)]
    n_fit = bisect.bisect_right(
        range(1, n_tokens + 1), n_tokens, key=lambda length: session.count_tokens(" ".join(numbers[:length]))
    )
    return " ".join(numbers[: max(1, n_fit)])
