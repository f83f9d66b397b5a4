"""The KV cache of an ONNX decoder: one buffer a layer, whose first rows count. It can be cut back anywhere.

Prompts are evaluated in pieces that end at fixed multiples of n_batch, as in `edgeai.backends.llama_cache`: the same
prefix gives the same bits only in the same pieces.

A state on the disk is a head, the ids (int32), then of each buffer the rows that count, all little-endian:

    8 bytes    "EdgeAIKV"
    7 x uint32 format, tokens, buffers, heads, width of a head, bytes of an element, n_vocab
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edgeai.backends.llama_cache import Runs
from edgeai.backends.onnx_session import OnnxSession
from edgeai.common_prefix import n_common

_MAGIC, _FORMAT = b"EdgeAIKV", 1
_HEAD = struct.Struct("<8s7I")


class OnnxCache:
    """What stands evaluated in a session.

    Attributes:
        tokens: ids whose state is in the cache, in order.
        n_batch: tokens that are evaluated in one piece at most.
    """

    def __init__(self, session: OnnxSession, n_batch: int) -> None:
        self.tokens: list[int] = []
        self.n_batch = n_batch
        self._session = session

    def reuse(self, prompt: Sequence[int], runs: Runs = ()) -> int:
        """Keep the longest prefix of a prompt that stands evaluated, and drop the rest of the cache.

        The prompt's last token is always evaluated again, because its logits are wanted.

        Returns:
            The tokens kept, 0..len(prompt) - 1.
        """
        del self.tokens[min(n_common(self.tokens, list(prompt)), len(prompt) - 1) :]
        return len(self.tokens)

    def boundaries(self, wanted: Sequence[int], n_prompt: int) -> frozenset[int]:
        """Lengths at which a copy of the state is kept: none, for it can be cut back."""
        return frozenset()

    def checkpoint(self) -> None:
        """Keep a copy of what cannot be cut back: nothing."""

    def pieces(self, n_start: int, n_end: int, boundaries: frozenset[int]) -> Iterator[tuple[int, int]]:
        """Ranges in which to evaluate a prompt: at most n_batch, ending at its multiples and at the boundaries."""
        ends = {*range((n_start // self.n_batch + 1) * self.n_batch, n_end, self.n_batch), *boundaries, n_end}
        for end in sorted(end for end in ends if n_start < end <= n_end):
            yield n_start, end
            n_start = end

    def evaluate(self, tokens: Sequence[int]) -> bool:
        """Evaluate at most n_batch tokens after those in the cache; False when it was aborted, and all is as before.

        Raises:
            GenerationError: ONNX Runtime failed.
        """
        if not self._session.evaluate(len(self.tokens), tokens):
            return False
        self.tokens.extend(tokens)
        return True

    def save(self, path: Path) -> bool:
        """Write the state of all that stands evaluated; whether that went well."""
        if not self._session.caches:
            return False
        n_tokens = len(self.tokens)
        try:
            with path.open("wb", buffering=0) as file:
                _write(file, _HEAD.pack(_MAGIC, *self._shape(n_tokens)))
                _write(file, np.asarray(self.tokens, "<i4"))
                for cache in self._session.caches:
                    _write(file, np.ascontiguousarray(cache[0, :, :n_tokens]))
        except OSError:  # the disk is full: it is evaluated again
            path.unlink(missing_ok=True)
            return False
        return True

    def load(self, path: Path, prompt: Sequence[int], n_tokens: int, n_same: int) -> int:
        """Put a file's state in the place of what stands evaluated. Its bytes have been verified.

        Args:
            path: the file.
            prompt: tokens that are to be evaluated.
            n_tokens: whose state the file holds.
            n_same: of them, those that the prompt begins with.
        Returns:
            The tokens that are there now, and that the prompt begins with; 0 where the file is of no use.
        """
        self.tokens.clear()
        n_keep = min(n_same, len(prompt) - 1)
        if n_keep < n_tokens:  # in the middle of it: only whole pieces are as they would be evaluated anew
            n_keep = n_keep // self.n_batch * self.n_batch
        try:
            with path.open("rb", buffering=0) as file:
                ids = self._read(file, n_tokens, n_keep)
        except (OSError, ValueError):
            return 0
        if ids[:n_keep] != list(prompt[:n_keep]):
            return 0
        self.tokens = ids[:n_keep]
        return n_keep

    def _read(self, file: BinaryIO, n_tokens: int, n_keep: int) -> list[int]:
        """Take a state's first tokens; its ids.

        Raises:
            ValueError: it is of another shape.
        """
        caches = self._session.caches
        head = _HEAD.pack(_MAGIC, *self._shape(n_tokens))
        rows = caches[0][0, :, :n_tokens] if caches else np.zeros(0)
        if not caches or file.read(len(head)) != head:
            raise ValueError("a state of another model")
        ids = np.empty(n_tokens, "<i4")
        _read_into(file, ids)
        for cache in caches:
            whole = np.empty(rows.shape, rows.dtype)
            _read_into(file, whole)
            cache[0, :, :n_keep] = whole[:, :n_keep]
        if file.read(1):
            raise ValueError("longer than it says")
        return [int(token) for token in ids]

    def _shape(self, n_tokens: int) -> tuple[int, ...]:
        """What a state says of itself; states of another machine's byte order have another format."""
        first = self._session.caches[0]
        little = sys.byteorder == "little"
        n_vocab = len(self._session.logits)
        return (
            _FORMAT if little else _FORMAT + 2**16,
            n_tokens,
            len(self._session.caches),
            first.shape[1],
            first.shape[3],
            first.itemsize,
            n_vocab,
        )


def _write(file: BinaryIO, data: Any) -> None:
    """All of it: one write call takes two gigabytes at most."""
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]


def _read_into(file: BinaryIO, data: Any) -> None:
    view = memoryview(data).cast("B")
    while view:
        n_read = file.readinto(view)  # type: ignore[attr-defined]
        if not n_read:
            raise ValueError("it is cut off")
        view = view[n_read:]
