"""The KV cache of one sequence: evaluate tokens, and go back to a prefix that comes again.

Three kinds of memory behave differently (measured; see tests/test_llama_cache.py):

- plain attention can be cut back anywhere;
- a sliding window forgets what left it: llama.cpp says "removed" and goes on with a hole, so the oldest position that
  is left is asked for first;
- recurrent layers hold one state and cannot be cut back by even one token.

For the last two a copy of the partial state is kept at boundaries that will come again, and the nearest one below is
restored; otherwise the prompt is evaluated again from its start.

Prompts are evaluated in pieces that end at fixed multiples of n_batch, counted from position 0: the same prefix gives
the same bits only in the same pieces. A chunk of a medium (half a minute of sound, a picture or a tile of it) is one
piece by itself, and is never cut: its places in a prompt are a run. Where the model's positions have several axes
(M-RoPE), the tokens of a picture share positions, and what follows stands at an earlier one than its index.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgeai.backends.llama_native import engine_thread, last_error
from edgeai.common_prefix import n_common
from edgeai.errors import GenerationError

MAX_CHECKPOINTS = 8
MAX_CHECKPOINT_BYTES = 512 * 2**20


class Run(NamedTuple):
    """Where a chunk of a medium stands in a prompt.

    Attributes:
        start: the first token's index.
        end: the next one after the last.
        n_positions: of the sequence that it takes; with M-RoPE fewer than tokens.
    """

    start: int
    end: int
    n_positions: int


Runs = Sequence[Run]

_ABORTED = 2
_NO_SLOT = 1


class LlamaCache:
    """What stands evaluated in a llama.cpp context, sequence 0.

    Attributes:
        tokens: ids whose state is in the cache, in order.
        needs_checkpoints: the memory cannot simply be cut back.
        n_batch: tokens that are evaluated in one piece at most.
    """

    def __init__(self, llama_cpp: Any, context: Any, *, n_batch: int, n_swa: int, recurrent: bool) -> None:
        self.tokens: list[int] = []
        self.needs_checkpoints = recurrent or n_swa > 0
        self._llama = llama_cpp
        self._thread = engine_thread()
        self._context = context
        self._memory = llama_cpp.llama_get_memory(context)
        self.n_batch = n_batch
        self._n_swa = n_swa
        self._recurrent = recurrent
        self._checkpoints: dict[int, ctypes.Array[ctypes.c_uint8]] = {}
        self._piece = (ctypes.c_int32 * n_batch)()
        self._positions = (ctypes.c_int32 * n_batch)()
        self._runs: Runs = ()

    def reuse(self, prompt: Sequence[int], runs: Runs = ()) -> int:
        """Keep the longest prefix of a prompt that stands evaluated, and drop the rest of the cache.

        The prompt's last token is always evaluated again, because its logits are wanted.

        Returns:
            The tokens kept, 0..len(prompt) - 1.
        """
        self._runs = runs  # of the prefix that stays, they are those of the last prompt
        return self.cut_back(self._outside(min(n_common(self.tokens, list(prompt)), len(prompt) - 1)))

    def cut_back(self, n_keep: int) -> int:
        """Drop all after `n_keep` tokens, or after the nearest boundary below where the memory cannot do that.

        Returns:
            The tokens kept.
        """
        if n_keep == len(self.tokens):
            return n_keep
        self._checkpoints = {n: state for n, state in self._checkpoints.items() if n <= n_keep}
        if not self._can_cut_at(n_keep) or not self._remove_from(n_keep):
            n_keep = self._restore()
        del self.tokens[n_keep:]
        return n_keep

    def boundaries(self, wanted: Sequence[int], n_prompt: int) -> frozenset[int]:
        """Prompt lengths at which to keep a copy of the state: those wanted, and all but the last token, from where
        the same prompt is answered anew."""
        if not self.needs_checkpoints:
            return frozenset()
        return frozenset(n for n in (*wanted, n_prompt - 1) if 0 < n < n_prompt)

    def pieces(self, n_start: int, n_end: int, boundaries: frozenset[int]) -> Iterator[tuple[int, int]]:
        """Ranges in which to evaluate the prompt that `reuse` was given: at most n_batch, ending at its multiples and
        at the boundaries; and each run whole."""
        ends = {*range((n_start // self.n_batch + 1) * self.n_batch, n_end, self.n_batch), *boundaries, n_end}
        ends = {self._outside(end) for end in ends}.union(*(run[:2] for run in self._runs))
        for end in sorted(end for end in ends if end > n_start):
            yield n_start, end
            n_start = end

    def evaluate(self, tokens: Sequence[int]) -> bool:
        """Evaluate at most n_batch tokens after those in the cache; the last one's logits are kept. See `extend`."""
        n_tokens = len(tokens)
        self._piece[:n_tokens] = list(tokens)
        start = self.position(len(self.tokens))
        self._positions[:n_tokens] = list(range(start, start + n_tokens))
        batch = self._llama.llama_batch_get_one(self._piece, n_tokens)
        batch.pos = self._positions
        return self.extend(tokens, lambda: self._llama.llama_decode(self._context, batch))

    def position(self, n_tokens: int) -> int:
        """Where the token after so many stands in the sequence."""
        passed = (run for run in self._runs if run.end <= n_tokens)
        return n_tokens - sum(run.end - run.start - run.n_positions for run in passed)

    def extend(self, tokens: Sequence[int], decode: Callable[[], int]) -> bool:
        """Evaluate what stands for these tokens, after those in the cache.

        Args:
            tokens: ids.
            decode: evaluates it, in the thread that computes; returns as llama_decode does.
        Returns:
            False when it was aborted; the cache is then as it was, or at an older boundary.

        Raises:
            GenerationError: llama.cpp refused.
        """
        n_before, n_tokens = len(self.tokens), len(tokens)
        status = self._thread.run(decode)
        self.tokens.extend(tokens)
        if status == 0:
            return True
        self.cut_back(n_before)
        if status == _ABORTED:
            return False
        if status == _NO_SLOT:
            raise GenerationError(
                f"no room in the KV cache for {n_tokens} tokens after {n_before:,}: open with more n_ctx"
            )
        raise GenerationError(f"llama_decode failed with status {status} after {n_before:,} tokens: {last_error()}")

    def checkpoint(self) -> None:
        """Keep a copy of what cannot be cut back, at the present length."""
        n_tokens = len(self.tokens)
        if not self.needs_checkpoints or n_tokens in self._checkpoints:
            return
        size = self._llama.llama_state_seq_get_size_ext(self._context, 0, self._flags)
        held = sum(len(state) for state in self._checkpoints.values())
        while self._checkpoints and (len(self._checkpoints) >= MAX_CHECKPOINTS or held + size > MAX_CHECKPOINT_BYTES):
            held -= len(self._checkpoints.pop(self._least_useful()))
        if size == 0 or held + size > MAX_CHECKPOINT_BYTES:
            return
        state = (ctypes.c_uint8 * size)()
        if self._llama.llama_state_seq_get_data_ext(self._context, state, size, 0, self._flags) == size:
            self._checkpoints[n_tokens] = state

    def save(self, path: Path) -> bool:
        """Write the state of all that stands evaluated; whether that went well."""
        n_tokens = len(self.tokens)
        ids = (ctypes.c_int32 * n_tokens)(*self.tokens)
        if self._llama.llama_state_seq_save_file(self._context, bytes(path), 0, ids, n_tokens):
            return True
        path.unlink(missing_ok=True)
        return False

    def load(self, path: Path, prompt: Sequence[int], n_tokens: int, n_same: int) -> int:
        """Put a file's state in the place of what stands evaluated. Its bytes have been verified.

        Args:
            path: the file.
            prompt: tokens that are to be evaluated, those that `reuse` was given.
            n_tokens: whose state the file holds.
            n_same: of them, those that the prompt begins with.
        Returns:
            The tokens that are there now, and that the prompt begins with; 0 where the file is of no use.
        """
        self._forget(overwrite=False)  # the file's state comes over it
        ids, n_read = (ctypes.c_int32 * n_tokens)(), ctypes.c_size_t()
        read = self._llama.llama_state_seq_load_file(self._context, bytes(path), 0, ids, n_tokens, ctypes.byref(n_read))
        if not read or n_read.value != n_tokens or list(ids[:n_same]) != list(prompt[:n_same]):
            self.clear()
            return 0
        self.tokens = list(ids)
        n_keep = min(n_same, len(prompt) - 1)
        if n_keep < n_tokens:  # in the middle of it: only whole pieces are as they would be evaluated anew
            ends = [
                self._outside(n_keep // self.n_batch * self.n_batch),
                *(end for run in self._runs for end in run[:2]),
            ]
            return self.cut_back(max(end for end in ends if end <= n_keep))
        self.checkpoint()
        return n_tokens

    def clear(self) -> None:
        """Forget everything."""
        self._forget(overwrite=True)

    @property
    def _flags(self) -> int:
        return int(self._llama.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY)

    def _forget(self, *, overwrite: bool) -> None:
        self._llama.llama_memory_clear(self._memory, overwrite)
        self._checkpoints.clear()
        self.tokens.clear()

    def _least_useful(self) -> int:
        """The second shortest boundary: the shortest is the system prompt's, the long ones are the newest turns'."""
        ordered = sorted(self._checkpoints)
        return ordered[min(1, len(ordered) - 1)]

    def _outside(self, n_tokens: int) -> int:
        """So many tokens, or fewer where that would cut a run."""
        return next((run.start for run in self._runs if run.start < n_tokens < run.end), n_tokens)

    def _can_cut_at(self, n_keep: int) -> bool:
        if self._recurrent:
            return n_keep == 0
        if self._n_swa:
            oldest: int = self._llama.llama_memory_seq_pos_min(self._memory, 0)
            return n_keep == 0 or 0 <= oldest <= max(0, self.position(n_keep) - self._n_swa)
        return True

    def _remove_from(self, n_tokens: int) -> bool:
        return bool(self._llama.llama_memory_seq_rm(self._memory, 0, self.position(n_tokens), -1))

    def _restore(self) -> int:
        """Go back to the longest boundary that is kept; 0 and an empty cache when there is none."""
        for n_tokens in sorted(self._checkpoints, reverse=True):
            state = self._checkpoints[n_tokens]
            read = self._llama.llama_state_seq_set_data_ext(self._context, state, len(state), 0, self._flags)
            if read == len(state) and self._remove_from(n_tokens):
                return n_tokens
        self._llama.llama_memory_clear(self._memory, True)
        self._checkpoints.clear()
        return 0
