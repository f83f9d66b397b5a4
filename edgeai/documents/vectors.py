"""Embeddings of passages: kept as bytes with a scale, compared with a question by brute force, made bit by bit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeai.documents.library_db import LibraryDatabase, damaged
from edgeai.errors import DocumentError

F32 = NDArray[np.float32]
_BLOCK_ROWS = 4096


class Embedder(Protocol):
    """Turns texts into vectors whose cosine says how near their meanings are."""

    @property
    def name(self) -> str:
        """Names the model exactly: vectors of different names are never compared."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    def embed_query(self, texts: Sequence[str]) -> F32:
        """Questions; [n, dimension]."""

    def embed_passages(self, texts: Sequence[str]) -> F32:
        """Passages; [n, dimension]."""


def to_rows(vectors: F32) -> tuple[NDArray[np.int8], F32]:
    """Unit vectors in a byte a number.

    Args:
        vectors: [n, dimension], of any length but zero.
    Returns:
        Rows, [n, dimension], and scales, [n]: `scale * row` is the vector of length 1. A zero vector stays one.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    scales = np.abs(unit).max(axis=1, initial=0) / 127
    rows = np.rint(unit / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    return rows, scales.astype(np.float32)


def cosines(query: F32, rows: NDArray[np.int8], scales: F32) -> F32:
    """The cosine of one vector, [dimension], with each row; [n]. In blocks, so that memory stays small."""
    unit = query / max(float(np.linalg.norm(query)), 1e-30)
    result = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        np.matmul(rows[block].astype(np.float32), unit, out=result[block])
    return result * scales


class Vectors:
    """One embedder's vectors of one library's passages. Rows are read once, then only those that are new."""

    def __init__(self, db: LibraryDatabase, name: str, dimension: int) -> None:
        """`name`, `dimension`: the embedder's; any that has them may make more of these vectors.

        Raises:
            DocumentError: vectors of another dimension are kept under the name.
        """
        self._db, self._dimension = db, dimension
        self._lock = threading.Lock()
        self._number = self._find(name)
        self._generation, self._last = -1, 0
        self._rows = np.empty((0, dimension), np.int8)
        self._scales = np.empty(0, np.float32)
        self._passages = np.empty(0, np.int64)

    def search(self, embedder: Embedder, query: str, k: int) -> list[tuple[int, float]]:
        """The passages that are nearest to the question among those with vectors: numbers and cosines, best first.

        A vector of zeros, which stands for a text that could not be embedded, is near to nothing.
        """
        vector = self._checked(embedder, embedder.embed_query([query]), 1)[0]
        if not vector.any():
            return []
        with self._lock:
            self._refresh()
            near = cosines(vector, self._rows, self._scales)
            k = min(k, len(near))
            best = np.argpartition(near, len(near) - k)[len(near) - k :] if k else np.empty(0, np.int64)
            best = best[np.lexsort((self._passages[best], -near[best]))]
            best = best[self._scales[best] > 0]
            return [(int(self._passages[index]), float(near[index])) for index in best]

    def missing(self, passages: Sequence[int]) -> list[int]:
        """Those of the passages that have no vector yet, in the same order."""
        marks = ",".join("?" * len(passages))
        rows = self._db.read(
            f"SELECT passage FROM vectors WHERE embedder = ? AND passage IN ({marks})", self._number, *passages
        )
        known = {number for (number,) in rows}
        return [number for number in passages if number not in known]

    def pending(self, n: int, after: int = 0) -> list[int]:
        """The first passages without a vector whose numbers are larger than `after`."""
        return [
            row[0]
            for row in self._db.read(
                "SELECT id FROM passages WHERE id > ? AND NOT EXISTS "
                "(SELECT 1 FROM vectors WHERE passage = passages.id AND embedder = ?) ORDER BY id LIMIT ?",
                *(after, self._number, n),
            )
        ]

    def n_done(self) -> int:
        """Passages that have a vector."""
        return int(self._db.read("SELECT count(*) FROM vectors WHERE embedder = ?", self._number)[0][0])

    def add(self, embedder: Embedder, passages: Sequence[int], texts: Sequence[str]) -> None:
        """Embed passages and keep their vectors; those that were removed meanwhile are left out."""
        rows, scales = to_rows(self._checked(embedder, embedder.embed_passages(texts), len(texts)))
        with self._db.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO vectors (embedder, passage, scale, row) "
                "SELECT ?, id, ?, ? FROM passages WHERE id = ?",
                [
                    (self._number, float(scale), row.tobytes(), number)
                    for number, row, scale in zip(passages, rows, scales, strict=True)
                ],
            )

    def _find(self, name: str) -> int:
        dimension = self._dimension
        if not self._db.read("SELECT 1 FROM embedders WHERE name = ?", name):
            with self._db.transaction() as db:
                db.execute("INSERT OR IGNORE INTO embedders (name, dimension) VALUES (?, ?)", (name, dimension))
        number, kept = self._db.read("SELECT id, dimension FROM embedders WHERE name = ?", name)[0]
        if kept != dimension:
            raise DocumentError(
                f"embedder {name[:80]}: {kept} dimensions are kept, got {dimension}: rename the embedder"
            )
        return int(number)

    def _refresh(self) -> None:
        """Take in what is new; all afresh after passages were removed."""
        if (generation := self._db.generation) != self._generation:
            self._generation, self._last = generation, 0
            self._rows, self._scales, self._passages = self._rows[:0], self._scales[:0], self._passages[:0]
        found = self._db.read(
            "SELECT id, passage, scale, row FROM vectors WHERE embedder = ? AND id > ? ORDER BY id",
            *(self._number, self._last),
        )
        if not found:
            return
        ids, passages, scales, blobs = zip(*found, strict=True)
        dimension = self._dimension
        if any(len(blob) != dimension for blob in blobs):
            raise damaged(self._db.path, f"a vector without {dimension} numbers")
        rows = np.frombuffer(b"".join(blobs), np.int8).reshape(-1, dimension)
        self._rows = np.concatenate([self._rows, rows])
        self._scales = np.concatenate([self._scales, np.array(scales, np.float32)])
        self._passages = np.concatenate([self._passages, np.array(passages, np.int64)])
        self._last = ids[-1]

    def _checked(self, embedder: Embedder, vectors: F32, n: int) -> F32:
        vectors = np.asarray(vectors, np.float32)
        expected = (n, self._dimension)
        if vectors.shape != expected or not np.isfinite(vectors).all():
            raise DocumentError(
                f"embedder {embedder.name[:80]}: expected {expected} finite numbers, got {vectors.shape}: "
                "use another embedder"
            )
        return vectors
