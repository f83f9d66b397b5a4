"""Scoring on ONNX Runtime: one item after the other, on the evaluated prefix that all share.

GroupQueryAttention takes one text at a time where something stands before it, so there is nothing to pack into batches.
The prefix stands in caches of its own, beside those of the conversation; they are cut back to it for each item, and to
the fork for each branch of its continuations. Where the logits of all tokens can be had, the graph is run once for each
branch, else once for each token whose logits are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from edgeai.backends.base import PrefillProgress, ScoreEvent, ScoreFinished, ScoreProgress, ScoreRequest
from edgeai.backends.onnx_cache import OnnxCache
from edgeai.backends.onnx_session import OnnxSession
from edgeai.backends.score_plan import Job, Limits, Node, jobs_of
from edgeai.backends.score_request import Result, checked
from edgeai.common_prefix import n_common

_NO_LIMIT = 2**31
_WHOLE = Limits(*[_NO_LIMIT] * 5)  # an item is never more than one job


class _AbortedError(Exception):
    """The evaluation was ended from outside."""


class OnnxScorer:
    """Scores with caches of its own. One thread at a time."""

    def __init__(
        self, session: OnnxSession, *, n_ctx: int, n_vocab: int, n_batch: int, is_aborted: Callable[[], bool]
    ) -> None:
        """
        Args:
            session: nobody else evaluates with its caches.
            n_ctx: tokens of an item with its prefix and its longest continuation, at most.
            n_vocab: of the model.
            n_batch: tokens that are evaluated in one piece at most.
            is_aborted: whether the evaluation is to end.
        """
        self._session = session
        self._cache = OnnxCache(session, n_batch)
        self._n_ctx, self._n_vocab, self._n_batch = n_ctx, n_vocab, n_batch
        self._is_aborted = is_aborted
        self._n_prefix = self._n_tokens = self._n_pieces = 0  # see ScoreFinished

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """See `edgeai.backends.base.ScoringBackend`."""
        request = checked(request, self._n_ctx, self._n_vocab)
        self._n_prefix = self._n_tokens = self._n_pieces = 0
        cancelled = False
        try:
            yield from self._read_prefix(request.prefix)
            yield from self._score_items(request)
        except _AbortedError:
            cancelled = True
        finally:
            del self._cache.tokens[len(request.prefix) :]
        yield ScoreFinished(cancelled, self._n_prefix, self._n_tokens, self._n_pieces, self._n_batch)

    def close(self) -> None:
        """Free native memory."""
        self._session.close()

    def _read_prefix(self, prefix: Sequence[int]) -> Iterator[ScoreEvent]:
        """Evaluate what of the prefix does not stand in the cache as it would be evaluated anew."""
        cache, n_total = self._cache, len(prefix)
        n_kept = n_common(cache.tokens, list(prefix))
        if not n_kept == len(cache.tokens) == n_total:
            n_kept = n_kept // self._n_batch * self._n_batch
        del cache.tokens[n_kept:]
        yield PrefillProgress(n_kept, n_total, n_kept)
        self._session.n_wanted = 1
        for start, end in cache.pieces(n_kept, n_total, frozenset()):
            self._evaluate(prefix[start:end])
            self._n_prefix += end - start
            yield PrefillProgress(end, n_total, n_kept)

    def _score_items(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        jobs = [job for index, item in enumerate(request.items) for job in jobs_of(index, item, _WHOLE)]
        n_total = sum(len(job.nodes) for job in jobs)
        for job in jobs:
            result = Result(len(request.items[job.index].continuations))
            for piece in self._pieces(job):
                del self._cache.tokens[len(request.prefix) + piece[0].offset :]
                first = next((at for at, node in enumerate(piece) if node.reads), len(piece) - 1)
                self._session.n_wanted = len(piece) - first
                self._evaluate([node.token for node in piece])
                self._read(piece, result)
                self._n_tokens += len(piece)
                self._n_pieces += 1
                yield ScoreProgress(self._n_tokens, n_total)
            yield result.scored(job.index)

    def _pieces(self, job: Job) -> Iterator[list[Node]]:
        """What is evaluated at once: up to a fork, or to a token whose logits only the last of a piece gives."""
        piece: list[Node] = []
        for node in job.nodes:
            is_full = len(piece) == self._n_batch or bool(piece and piece[-1].reads and not self._session.gives_all)
            if piece and (is_full or node.offset != piece[-1].offset + 1):
                yield piece
                piece = []
            piece.append(node)
        yield piece

    def _evaluate(self, tokens: Sequence[int]) -> None:
        if self._is_aborted() or not self._cache.evaluate(tokens):
            raise _AbortedError

    def _read(self, piece: Sequence[Node], result: Result) -> None:
        """Take what is wanted from the logits of the tokens that were evaluated last."""
        logits = self._session.all_logits
        for node, row in zip(piece[-len(logits) :], logits, strict=True):
            if node.reads:
                result.read(row.astype(np.float32, copy=False), node.reads)
