"""One text after the other, through a plain llama.cpp context: what scoring must come to."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from llama_cpp import llama_cpp as llama

from benchmarks.bare import Bare
from edgeai.backends.base import ScoreItem


class NaiveScorer:
    """Evaluates prefix, item and continuation of each pair from an empty cache, token by token where it reads."""

    def __init__(self, path: Path, n_ctx: int = 512, type_kv: int = llama.GGML_TYPE_F32) -> None:
        self._bare = Bare(path, n_ctx=n_ctx, n_batch=n_ctx, type_kv=type_kv)

    def score(self, prefix: Sequence[int], item: ScoreItem) -> tuple[list[float], list[bool]]:
        """Log-probabilities of the continuations, and whether they are greedy."""
        log_probs, greedy = [], []
        for number, continuation in enumerate(item.continuations):
            n_given = item.n_given[number] if item.n_given else 0
            self._bare.clear()
            logits = self._bare.logits([*prefix, *item.tokens, *continuation[:n_given]])
            total, is_greedy = 0.0, True
            for token in continuation[n_given:]:
                shifted = logits.astype(np.float64) - logits.max()
                total += shifted[token] - np.log(np.exp(shifted).sum())
                is_greedy &= bool(logits.argmax() == token)
                logits = self._bare.logits([token])
            log_probs.append(float(total))
            greedy.append(is_greedy)
        return log_probs, greedy

    def tokenize(self, text: str) -> list[int]:
        """Of the whole prompt at once, control tokens read, nothing added."""
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        n_tokens = llama.llama_tokenize(self._bare.vocab, data, len(data), ids, len(ids), False, True)
        return list(ids[:n_tokens])

    def close(self) -> None:
        self._bare.close()
