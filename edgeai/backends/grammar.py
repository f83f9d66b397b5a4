"""Which tokens a grammar allows next (llguidance), applied to the logits before one is sampled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeai.errors import GenerationError, SchemaError


class TokenMaskFactory:
    """A model's vocabulary, prepared once for masks."""

    def __init__(
        self,
        tokens: Sequence[bytes],
        *,
        special_ids: Collection[int],
        end_ids: Sequence[int],
        tokenize: Callable[[bytes], list[int]],
    ) -> None:
        """
        Args:
            tokens: [n_vocab], each token's bytes.
            special_ids: control tokens, which no grammar may produce as text.
            end_ids: tokens that end an answer, allowed where the grammar is complete.
            tokenize: text to ids.
        """
        import llguidance

        self._n_vocab = len(tokens)
        self._tokenizer = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Vocabulary(tokens, special_ids, end_ids[0], tokenize)),
            n_vocab=self._n_vocab,
            eos_token=list(end_ids),
        )

    def mask(self, grammar: str) -> TokenMask:
        """A mask at the beginning of a grammar.

        Raises:
            SchemaError: the grammar cannot be used.
        """
        import llguidance

        matcher = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise SchemaError(f"the grammar cannot be used: {matcher.get_error().splitlines()[0]}")
        return TokenMask(matcher, self._n_vocab)


class TokenMask:
    """Follows one answer through its grammar."""

    def __init__(self, matcher: Any, n_vocab: int) -> None:
        self._matcher = matcher
        self._n_vocab = n_vocab
        self._bits = np.zeros((n_vocab + 31) // 32, dtype=np.int32)

    def apply(self, logits: NDArray[np.float32]) -> None:
        """Forbid, in place, what the grammar does not allow next.

        Args:
            logits: [n_vocab]

        Raises:
            GenerationError: the grammar became too complex.
        """
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        allowed = np.unpackbits(self._bits.view(np.uint8), bitorder="little", count=self._n_vocab)  # [n_vocab]
        np.putmask(logits, allowed == 0, -np.inf)

    def accept(self, token: int) -> None:
        """Go on after a token.

        Raises:
            GenerationError: the grammar does not allow it.
        """
        self._matcher.consume_token(token)
        self._check()

    @property
    def is_finished(self) -> bool:
        """Whether nothing more may follow."""
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise GenerationError(f"the grammar cannot go on: {self._matcher.get_error().splitlines()[0]}")


class _Vocabulary:
    """The shape in which llguidance takes a vocabulary."""

    def __init__(
        self,
        tokens: Sequence[bytes],
        special_ids: Collection[int],
        end_id: int,
        tokenize: Callable[[bytes], list[int]],
    ) -> None:
        self.tokens = tokens
        self.special_token_ids = sorted(special_ids)
        self.eos_token_id = end_id
        self.bos_token_id: int | None = None
        self._tokenize = tokenize

    def __call__(self, data: bytes) -> list[int]:
        return self._tokenize(data)
