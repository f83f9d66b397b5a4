"""Scoring on llama.cpp: a second context on the same weights, in which many items share one evaluated prefix.

The prefix stands in sequence 0, and its cells belong to the items' sequences too (`llama_memory_seq_cp` copies no data
in a unified cache). Items and the branches of their continuations are packed into batches; a token may belong to
several sequences, and logits are made only where they are read. After each batch its cells are free again.

Models with recurrent layers hold one state a sequence: there items are evaluated one after the other, and each path of
continuations on a copy of the state. Sliding windows keep all their cells here, so that nothing falls out of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgeai.backends.base import (
    PrefillProgress,
    ScoreEvent,
    ScoreFinished,
    ScoreProgress,
    ScoreRequest,
)
from edgeai.backends.llama_native import engine_thread, last_error
from edgeai.backends.score_cells import ALIGN, BLOCK, Filler, aligned, n_seqs_for
from edgeai.backends.score_plan import Job, Limits, Node, jobs_of, packed
from edgeai.backends.score_request import Result, checked
from edgeai.common_prefix import n_common
from edgeai.errors import GenerationError

N_BATCH = 256
"""Tokens of a batch: more are no faster, and every item's attention passes over the cells of all."""
_MAX_SEQS = 256  # LLAMA_MAX_SEQ
_LEAST_SEQS = 32
_RECURRENT_SEQS = 3  # the prefix, an item, a path of its continuations
_NO_LIMIT = 2**31
_OTHER_SEQS = 2  # the prefix, and a token that only fills a batch up
_ROOM = 2  # times the cells of a batch's tokens: what its items take with the gaps between them
_LOGIT_BYTES = 64 * 2**20  # llama.cpp's buffer has a row of logits for each sequence
_CELLS = 256  # llama.cpp rounds the cells of a cache up to so many
_ABORTED = 2

Open = Callable[..., Any]
"""Opens a context: n_cells, n_batch, n_seqs, n_outputs."""


@dataclass(slots=True)
class _Counts:
    """See ScoreFinished."""

    n_prefix: int = 0
    n_tokens: int = 0
    n_batches: int = 0


class _AbortedError(Exception):
    """The evaluation was ended from outside."""


class LlamaScorer:
    """One context for scoring, opened when it is first used. One thread at a time."""

    def __init__(
        self,
        llama_cpp: Any,
        open_context: Open,
        *,
        n_ctx: int,
        n_vocab: int,
        recurrent: bool,
        keep_n_ctx: bool,
        evaluated: Callable[[Any, int, float], None],
        is_aborted: Callable[[], bool],
    ) -> None:
        """
        Args:
            llama_cpp: the bindings.
            open_context: opens a context.
            n_ctx: tokens of an item with its prefix and its longest continuation, at most.
            n_vocab: of the model.
            recurrent: some layers hold one state a sequence.
            keep_n_ctx: what the model computes depends on n_ctx: no smaller context will do.
            evaluated: told of each evaluation: the context, its tokens, seconds.
            is_aborted: whether the evaluation is to end.
        """
        self._llama, self._open = llama_cpp, open_context
        self._thread = engine_thread()
        self._n_ctx, self._n_vocab = n_ctx, n_vocab
        self._recurrent, self._keep_n_ctx = recurrent, keep_n_ctx
        self._n_outputs = max(_LEAST_SEQS, min(_MAX_SEQS, _LOGIT_BYTES // (4 * n_vocab)))
        self._n_seqs = _RECURRENT_SEQS if recurrent else self._n_outputs
        self._evaluated, self._is_aborted = evaluated, is_aborted
        self._filler: Filler | None = None
        self._context: Any = None
        self._memory: Any = None
        self._batch: Any = None
        self._n_cells = self._n_batch = 0
        self._prefix: list[int] = []
        self._n_copies = 0  # sequences beside 0 that the prefix belongs to

    def score(self, request: ScoreRequest) -> Iterator[ScoreEvent]:
        """See `edgeai.backends.base.ScoringBackend`."""
        request = checked(request, self._n_ctx, self._n_vocab)
        counts = _Counts()
        cancelled = False
        try:
            self._make_room(request)
            yield from self._read_prefix(request.prefix, counts)
            yield from self._score_items(request, counts)
        except _AbortedError:
            cancelled = True
            self._forget()
        except BaseException:  # also where nobody wants the rest
            self._forget()
            raise
        yield ScoreFinished(cancelled, counts.n_prefix, counts.n_tokens, counts.n_batches, self._n_batch)

    def close(self) -> None:
        """Free native memory. May be called twice."""
        if self._context is not None:
            self._llama.llama_batch_free(self._batch)
            self._llama.llama_free(self._context)
            self._context = None

    # --- room and the prefix ---

    def _make_room(self, request: ScoreRequest) -> None:
        """A context with cells for the prefix and for what is evaluated at once."""
        longest = max((len(item.tokens) + max(map(len, item.continuations)) for item in request.items), default=0)
        least = len(request.prefix) + longest
        if self._context is not None and least <= self._n_cells:
            return
        again = self._context is not None
        wanted = self._n_ctx if again or self._keep_n_ctx else least
        self.close()
        n_cells = _padded(wanted if self._keep_n_ctx else wanted + _ROOM * N_BATCH)
        n_batch = min(N_BATCH, n_cells)
        self._context = self._open(n_cells=n_cells, n_batch=n_batch + 1, n_seqs=self._n_seqs, n_outputs=self._n_outputs)
        self._memory = self._llama.llama_get_memory(self._context)
        self._batch = self._llama.llama_batch_init(n_batch + 1, 0, self._n_seqs)
        self._n_ubatch = int(self._llama.llama_n_ubatch(self._context))
        self._n_cells, self._n_batch = n_cells, n_batch
        self._prefix, self._n_copies = [], 0
        if not self._recurrent:
            n_fill, n_seqs = _ROOM * n_batch, n_seqs_for(_ROOM * n_batch)
            self._filler = Filler(self._llama, self._context, n_cells=n_fill, first_seq=self._n_seqs - n_seqs)
            try:
                self._filler.make(self._fill)
            except BaseException:
                self.close()
                raise

    def _fill(self, tokens: Sequence[int], seq: int) -> None:
        self._decode([Node(token, offset, [seq]) for offset, token in enumerate(tokens)], 0)

    def _read_prefix(self, prefix: Sequence[int], counts: _Counts) -> Iterator[ScoreEvent]:
        """Evaluate what of the prefix does not stand in sequence 0, in pieces that end at multiples of n_batch."""
        n_total = len(prefix)
        n_kept = self._cut_back(prefix)
        yield PrefillProgress(n_kept, n_total, n_kept)
        for start in range(n_kept, n_total, self._n_batch):
            piece = prefix[start : start + self._n_batch]
            self._decode([Node(token, offset, [0]) for offset, token in enumerate(piece)], start)
            self._prefix += piece
            counts.n_prefix += len(piece)
            yield PrefillProgress(len(self._prefix), n_total, n_kept)

    def _cut_back(self, prefix: Sequence[int]) -> int:
        """Keep what of the present prefix the new one begins with, as it would be evaluated anew; its tokens."""
        n_same = n_common(self._prefix, list(prefix))
        if n_same == len(self._prefix) == len(prefix):
            return n_same
        n_kept = n_same // self._n_batch * self._n_batch
        if self._recurrent and n_kept < len(self._prefix):
            self._forget()
            return 0
        for seq in range(1, self._n_copies + 1):
            self._llama.llama_memory_seq_rm(self._memory, seq, -1, -1)
        self._n_copies = 0
        self._llama.llama_memory_seq_rm(self._memory, 0, n_kept, -1)
        del self._prefix[n_kept:]
        return n_kept

    def _forget(self) -> None:
        """Empty the cache: what stands there is not known."""
        if self._context is not None:
            self._llama.llama_memory_clear(self._memory, False)
        self._prefix, self._n_copies = [], 0

    # --- items ---

    def _score_items(self, request: ScoreRequest, counts: _Counts) -> Iterator[ScoreEvent]:
        limits = self._limits
        jobs = [job for index, item in enumerate(request.items) for job in jobs_of(index, item, limits)]
        n_left = [0] * len(request.items)
        for job in jobs:
            n_left[job.index] += 1
        results = [Result(len(item.continuations)) for item in request.items]
        n_total, n_done = sum(len(job.nodes) for job in jobs), 0
        for batch in self._batches(jobs, limits):
            for n_tokens in self._score_batch(batch, results):
                n_done += n_tokens
                counts.n_tokens += n_tokens
                counts.n_batches += 1
                yield ScoreProgress(n_done, max(n_total, n_done))
            for job in batch:
                n_left[job.index] -= 1
                if not n_left[job.index]:
                    yield results[job.index].scored(job.index)

    @property
    def _limits(self) -> Limits:
        n_cells = self._n_cells - len(self._prefix)
        if self._filler is None:
            return Limits(self._n_batch, _NO_LIMIT, _NO_LIMIT, _NO_LIMIT, _NO_LIMIT)
        n_seqs = self._n_seqs - self._filler.n_seqs - _OTHER_SEQS
        n_together = min(_ROOM * self._n_batch, n_cells - BLOCK) - ALIGN
        return Limits(min(self._n_batch, n_cells), n_seqs, self._n_outputs, n_together, n_cells)

    def _batches(self, jobs: Sequence[Job], limits: Limits) -> Iterator[list[Job]]:
        return iter([[job] for job in jobs]) if self._recurrent else packed(jobs, limits)

    def _score_batch(self, jobs: Sequence[Job], results: Sequence[Result]) -> Iterator[int]:
        """Evaluate jobs, and clear them away; how many tokens each evaluation had."""
        if self._recurrent:
            yield from self._score_apart(jobs[0], results[jobs[0].index])
            return
        entries, first = list[tuple[Node, int, Result]](), 1
        for job in jobs:
            entries += [(node, first, results[job.index]) for node in job.nodes]
            first += job.n_seqs
        self._copy_prefix(first - 1)
        self._lay([len(job.nodes) for job in jobs])
        for piece in self._pieces(entries):
            self._decode([_moved(node, base) for node, base, _ in piece], len(self._prefix))
            self._read([(node, result) for node, _, result in piece])
            yield len(piece)
        for seq in range(1, first):
            self._llama.llama_memory_seq_rm(self._memory, seq, len(self._prefix), -1)
        if self._filler is not None:
            self._filler.clear()

    def _lay(self, sizes: Sequence[int]) -> None:
        """Have each job begin at a fixed place; where the window is nearly full of the prefix, there is no room to."""
        needed = sum(aligned(size) for size in sizes) + ALIGN + BLOCK
        if self._filler is not None and len(self._prefix) + needed <= self._n_cells:
            self._filler.lay(len(self._prefix), sizes)

    def _score_apart(self, job: Job, result: Result) -> Iterator[int]:
        """One item in sequence 1, each path of its continuations in sequence 2, on a copy of the item's state."""
        llama, memory, at = self._llama, self._memory, len(self._prefix)
        llama.llama_memory_seq_cp(memory, 0, 1, -1, -1)
        yield from self._walk(job.nodes[: job.n_tokens], 1, at, result)
        seen: set[int] = set()
        for path in range(job.n_seqs):
            nodes = job.path(path)
            if nodes:
                llama.llama_memory_seq_cp(memory, 1, 2, -1, -1)
                fresh = [node if id(node) not in seen else replace(node, reads=[]) for node in nodes]
                yield from self._walk(fresh, 2, at, result)
                llama.llama_memory_seq_rm(memory, 2, -1, -1)
                seen.update(map(id, nodes))
        llama.llama_memory_seq_rm(memory, 1, -1, -1)

    def _walk(self, nodes: Sequence[Node], seq: int, start: int, result: Result) -> Iterator[int]:
        for piece in self._pieces([(node, 0, result) for node in nodes]):
            self._decode([replace(node, seqs=[seq]) for node, _, _ in piece], start)
            self._read([(node, result) for node, _, result in piece])
            yield len(piece)

    def _pieces(self, entries: list[tuple[Node, int, Result]]) -> Iterator[list[tuple[Node, int, Result]]]:
        """What is evaluated at once: nearly always all of it."""
        piece, n_outputs = list[tuple[Node, int, Result]](), 0
        for entry in entries:
            n_outputs += bool(entry[0].reads)
            if len(piece) == self._n_batch - 1 or n_outputs > self._n_outputs:
                yield piece
                piece, n_outputs = [], int(bool(entry[0].reads))
            piece.append(entry)
        if piece:
            yield piece

    # --- llama.cpp ---

    def _copy_prefix(self, n_seqs: int) -> None:
        """Let the prefix's cells belong to so many sequences beside 0."""
        for seq in range(self._n_copies + 1, n_seqs + 1):
            self._llama.llama_memory_seq_cp(self._memory, 0, seq, -1, -1)
        self._n_copies = max(self._n_copies, n_seqs)

    def _decode(self, nodes: Sequence[Node], start: int) -> None:
        """Evaluate tokens; `start` is the position of offset 0."""
        if self._is_aborted():
            raise _AbortedError
        batch = self._batch
        is_padded = self._filler is not None and len(nodes) % self._n_ubatch == 1
        if is_padded:  # a token alone is computed by other kernels, whose last bits differ
            nodes = [*nodes, Node(0, -start, [self._n_seqs - self._filler.n_seqs - 1])]  # type: ignore[union-attr]
        batch.n_tokens = len(nodes)
        for index, node in enumerate(nodes):
            batch.token[index], batch.pos[index] = node.token, start + node.offset
            batch.n_seq_id[index], batch.logits[index] = len(node.seqs), bool(node.reads)
            ids = batch.seq_id[index]
            for place, seq in enumerate(node.seqs):
                ids[place] = seq
        started = time.perf_counter()
        status = self._thread.run(lambda: self._llama.llama_decode(self._context, batch))
        if status == _ABORTED:
            raise _AbortedError
        if status != 0:
            raise GenerationError(f"llama_decode failed with status {status} on {len(nodes)} tokens: {last_error()}")
        self._evaluated(self._context, len(nodes), time.perf_counter() - started)
        if is_padded:
            self._llama.llama_memory_seq_rm(self._memory, nodes[-1].seqs[0], -1, -1)

    def _read(self, nodes: Sequence[tuple[Node, Result]]) -> None:
        """Take what is wanted from the logits of the tokens that were evaluated last."""
        import numpy as np

        for index, (node, result) in enumerate(nodes):
            if not node.reads:
                continue
            pointer = self._llama.llama_get_logits_ith(self._context, index)
            logits = np.ctypeslib.as_array(pointer, (self._n_vocab,))
            result.read(logits, node.reads)


def _moved(node: Node, first: int) -> Node:
    """A node whose sequences begin with `first`."""
    return replace(node, seqs=[first + seq for seq in node.seqs])


def _padded(n_cells: int) -> int:
    """So many cells as llama.cpp gives."""
    return -(-n_cells // _CELLS) * _CELLS
