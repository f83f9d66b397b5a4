"""Where a batch's items stand in the KV cache: so that each comes to the same, bit by bit, whatever stands beside it.

ggml sums over the cells of a cache in lanes: which of an item's cells are added to each other first depends on their
places, modulo the width of a vector. The last bits that this changes are nothing by themselves, but quantized models
round every activation, and a rounding that flips is magnified from layer to layer: on SmolLM2-135M Q4_1
log-probabilities moved by up to 0.4 with the neighbours in a batch. So each item begins at a multiple of ALIGN cells.
(With fused attention over float caches they still do: ggml takes another kernel for less than 64 tokens at once.)

llama.cpp offers no choice of cells; it takes the first that are free. So all of them are occupied by a filler, whose
state is kept and put there again before each batch, and then exactly those are freed that an item is to have.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from edgeai.errors import GenerationError

ALIGN = 16
"""Cells: the widest vectors of floats (AVX-512)."""
BLOCK = 64
"""Cells of a filler's sequence."""


class Filler:
    """What stands in the cells that no item is to have.

    Attributes:
        n_seqs: sequences that it takes.
    """

    def __init__(self, llama_cpp: Any, context: Any, *, n_cells: int, first_seq: int) -> None:
        """
        Args:
            llama_cpp: the bindings.
            context: has an empty cache.
            n_cells: that a batch's items take at most, with the gaps between them.
            first_seq: the first of its sequences.
        """
        self._llama, self._context = llama_cpp, context
        self._memory = llama_cpp.llama_get_memory(context)
        self._first = first_seq
        self.n_seqs = n_seqs_for(n_cells)
        self._state: Any = None
        self._n_laid = 0

    def make(self, decode: Callable[[Sequence[int], int], None]) -> None:
        """Make its state, in an empty cache; `decode` evaluates tokens in a sequence."""
        llama, context = self._llama, self._context
        decode([0] * BLOCK, self._first)
        size = llama.llama_state_seq_get_size(context, self._first)
        self._state = (ctypes.c_uint8 * size)()
        if not size or llama.llama_state_seq_get_data(context, self._state, size, self._first) != size:
            raise GenerationError(
                "llama.cpp gives no copy of a sequence's state: expected one; update llama-cpp-python"
            )
        llama.llama_memory_clear(self._memory, False)

    def lay(self, n_prefix: int, sizes: Sequence[int]) -> None:
        """Occupy the cells after a prefix, but for those of items.

        Args:
            n_prefix: cells of the prefix; all after them are free.
            sizes: of the items, cells, in their order.
        """
        starts, at = list[int](), -n_prefix % ALIGN
        for size in sizes:
            starts.append(at)
            at += aligned(size)
        for block in range(min(-(-at // BLOCK), self.n_seqs)):
            self._put(self._first + block)
            self._n_laid = block + 1
        for start, size in zip(starts, sizes, strict=True):
            self._free(start, start + size)

    def clear(self) -> None:
        """Free its cells."""
        for block in range(self._n_laid):
            self._llama.llama_memory_seq_rm(self._memory, self._first + block, -1, -1)
        self._n_laid = 0

    def _put(self, seq: int) -> None:
        state = self._state
        if self._llama.llama_state_seq_set_data(self._context, state, len(state), seq) != len(state):
            raise GenerationError("no room in the KV cache for a batch: open the model with more n_ctx")

    def _free(self, start: int, end: int) -> None:
        """Free cells; positions in a block are their places."""
        for block in range(start // BLOCK, min(-(-end // BLOCK), self._n_laid)):
            first = block * BLOCK
            begin, stop = max(start - first, 0), min(end - first, BLOCK)
            self._llama.llama_memory_seq_rm(self._memory, self._first + block, begin, stop)


def aligned(n_cells: int) -> int:
    """So many cells, and those up to the next place where an item may begin."""
    return -(-n_cells // ALIGN) * ALIGN


def n_seqs_for(n_cells: int) -> int:
    """Sequences of a filler of so many cells."""
    return -(-(n_cells + ALIGN) // BLOCK)
