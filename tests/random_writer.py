"""A model that knows nothing: it draws any token that a grammar allows, with a liking for those that end things."""

from __future__ import annotations

import functools

import numpy as np

from edgeai.backends.grammar import TokenMaskFactory

WORDS = (b'{"', b'": ', b", ", b'", "', b"}", b'"}', b"]", b'"]', b"null", b"true", b"12", "東".encode(), b"<|im_end|>")
TOKENS = [*(bytes([value]) for value in range(256)), *WORDS, b"<|im_end|>", b"<|im_start|>"]
N_MAX = 3000
END, START = len(TOKENS) - 2, len(TOKENS) - 1
ENDERS = [token for token, data in enumerate(TOKENS) if data in (b'"', b"}", b"]", b'"}', b'"]') or token == END]


@functools.cache
def factory() -> TokenMaskFactory:
    return TokenMaskFactory(TOKENS, special_ids=[END, START], end_ids=[END], tokenize=tokenize)


def tokenize(data: bytes) -> list[int]:
    """The longest token first, as byte-pair encoders often do."""
    ids: list[int] = []
    while data:
        token = max((n for n in range(END) if data.startswith(TOKENS[n])), key=lambda n: len(TOKENS[n]))
        ids.append(token)
        data = data[len(TOKENS[token]) :]
    return ids


def write(grammar: str, seed: int, n_max: int = N_MAX) -> str:
    """Follow a grammar to its end, or for `n_max` tokens."""
    mask, random, written = factory().mask(grammar), np.random.default_rng(seed), b""
    for _ in range(n_max):
        logits = random.gumbel(size=len(TOKENS)).astype(np.float32)
        logits[ENDERS] += 4
        mask.apply(logits)
        assert np.isfinite(logits).any()
        token = int(logits.argmax())
        if token == END:
            break
        assert token != START
        mask.accept(token)
        written += TOKENS[token]
        if mask.is_finished:
            break
    else:
        assert n_max < N_MAX, "the grammar was not finished"
    return written.decode("utf-8", "replace" if n_max < N_MAX else "strict")
