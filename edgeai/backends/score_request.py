"""What is asked of a scorer, checked; and what becomes of each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeai.backends.base import Scored, ScoreItem, ScoreRequest
from edgeai.errors import GenerationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def checked(request: ScoreRequest, n_ctx: int, n_vocab: int) -> ScoreRequest:
    """The same, each item with a token of its own. The engine answers for what it hands to llama.cpp, which ends the
    process where it is wrong.

    Args:
        request: as it came.
        n_ctx: tokens of an item with its prefix and its longest continuation, at most.
        n_vocab: of the model.
    Raises:
        GenerationError: an item or a token that cannot be.
    """
    request = _with_tokens(request)
    _check_ids(request.prefix, n_vocab)
    for item in request.items:
        sizes = [len(continuation) for continuation in item.continuations]
        n_tokens = len(request.prefix) + len(item.tokens) + max(sizes, default=0)
        if not sizes or not all(sizes) or not item.tokens or n_tokens > n_ctx:
            raise GenerationError(
                f"an item of {n_tokens:,} tokens with {len(sizes)} continuations, the shortest of "
                f"{min(sizes, default=0)}: expected at least one token, one continuation of one, and no more than "
                f"n_ctx = {n_ctx:,}"
            )
        if item.n_given and (
            len(item.n_given) != len(sizes)
            or not all(0 <= n < size for n, size in zip(item.n_given, sizes, strict=True))
        ):
            raise GenerationError(f"n_given = {list(item.n_given)}: expected less than the continuations' lengths")
        for ids in (item.tokens, *item.continuations):
            _check_ids(ids, n_vocab)
    return request


class Result:
    """What is known of an item so far."""

    def __init__(self, n_continuations: int) -> None:
        self._log_probs = [0.0] * n_continuations
        self._greedy = [True] * n_continuations

    def read(self, logits: NDArray[np.float32], reads: Sequence[tuple[int, int]]) -> None:
        """Take the next tokens of some continuations from the logits of the token before.

        Args:
            logits: [n_vocab]
            reads: pairs of the number of a continuation and its next token.
        Raises:
            GenerationError: the logits are no numbers.
        """
        import numpy as np

        likeliest = int(logits.argmax())
        top = logits[likeliest]
        if not np.isfinite(top):
            raise GenerationError("the model's logits are not numbers: the file is broken; use another")
        total = float(top) + float(np.log(np.exp(logits - top).sum(dtype=np.float64)))
        for number, token in reads:
            self._log_probs[number] += min(float(logits[token]) - total, 0.0)
            self._greedy[number] &= token == likeliest

    def scored(self, index: int) -> Scored:
        """All of it."""
        return Scored(index, tuple(self._log_probs), tuple(self._greedy))


def _check_ids(ids: Sequence[int], n_vocab: int) -> None:
    if ids and not 0 <= min(ids) <= max(ids) < n_vocab:
        raise GenerationError(f"a token that the model does not have: expected 0 to {n_vocab - 1:,}")


def _with_tokens(request: ScoreRequest) -> ScoreRequest:
    """An item without tokens takes the prefix's last: its logits are not kept."""
    if not request.prefix or all(item.tokens for item in request.items):
        return request
    last = request.prefix[-1]
    items = [ScoreItem((last, *item.tokens), item.continuations, item.n_given) for item in request.items]
    return replace(request, prefix=request.prefix[:-1], items=items)
