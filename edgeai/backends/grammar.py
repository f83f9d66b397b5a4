"""Which tokens a grammar allows next (llguidance), applied to the logits before one is sampled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeai.errors import GenerationError, SchemaError

_JSON_SIGNS = '{}[]":, 0a'


class TokenMaskFactory:
    """A model's vocabulary, prepared once for masks (about 0.1 s for 50,000 tokens, 0.4 s for 256,000)."""

    def __init__(
        self,
        tokens: Sequence[bytes],
        *,
        special_ids: Collection[int],
        end_ids: Sequence[int],
        tokenize: Callable[[bytes], list[int]],
    ) -> None:
        """Prepare.

        Args:
            tokens: [n_vocab], each token's bytes.
            special_ids: control tokens, which no grammar may produce as text.
            end_ids: tokens that end an answer, allowed where the grammar is complete.
            tokenize: UTF-8 text to ids, without control tokens.

        Raises:
            GenerationError: llguidance refuses the vocabulary.
        """
        import llguidance

        self._n_vocab = len(tokens)
        vocabulary = _Vocabulary(tokens, special_ids, end_ids[0], tokenize)
        if missing := [sign for sign in _JSON_SIGNS if sign.encode() not in vocabulary.ids]:
            raise GenerationError(f"this model's vocabulary has no token for {missing[0]!r}: it cannot write JSON")
        try:
            self._tokenizer = llguidance.LLTokenizer(
                llguidance.TokenizerWrapper(vocabulary), n_vocab=self._n_vocab, eos_token=list(end_ids)
            )
        except ValueError as exc:
            raise GenerationError(f"no grammar can be used with this model's vocabulary: {exc}") from exc

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
    """A vocabulary as llguidance takes it: these attributes, and text to ids by calling it."""

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
        """Ids whose bytes are exactly the text's.

        llguidance allows nothing but these where the grammar leaves one text only. A tokenizer that puts a space in
        front (SentencePiece) would break the grammar there, so its answer is not taken.
        """
        ids = self._tokenize(data)
        return ids if b"".join(self.tokens[token] for token in ids) == data else self._longest_matches(data)

    def _longest_matches(self, data: bytes) -> list[int]:
        ids, at = [], 0
        while at < len(data):
            sizes = range(min(self._longest, len(data) - at), 0, -1)
            size = next((size for size in sizes if data[at : at + size] in self.ids), 0)
            if not size:  # the matcher will fail on what is missing; raising here would pass through llguidance
                break
            ids.append(self.ids[data[at : at + size]])
            at += size
        return ids

    @functools.cached_property
    def ids(self) -> dict[bytes, int]:
        """The tokens that are text."""
        special_ids = set(self.special_token_ids)
        return {data: token for token, data in enumerate(self.tokens) if data and token not in special_ids}

    @functools.cached_property
    def _longest(self) -> int:
        return max(map(len, self.ids), default=0)
