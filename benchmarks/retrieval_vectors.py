"""An embedder that remembers: a text's vector is computed once for all runs and all ways of cutting."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeai.documents.vectors import F32, Embedder


class RememberingEmbedder:
    """Another embedder's vectors, kept in a file by the SHA-256 of the text."""

    def __init__(self, inner: Embedder, file: Path) -> None:
        self._inner = inner
        self.name, self.dimension = inner.name, inner.dimension
        self._db = sqlite3.connect(file, check_same_thread=False)
        self._db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def embed_query(self, texts: Sequence[str]) -> F32:
        """Questions; [n, dimension]."""
        return self._remembered("query", texts, self._inner.embed_query)

    def embed_passages(self, texts: Sequence[str]) -> F32:
        """Passages; [n, dimension]."""
        return self._remembered("passage", texts, self._inner.embed_passages)

    def _remembered(self, role: str, texts: Sequence[str], embed: Callable[[Sequence[str]], Any]) -> F32:
        keys = [hashlib.sha256(f"{self.name}\0{role}\0{text}".encode()).digest() for text in texts]
        known = {key: self._get(key) for key in keys}
        missing = list({key: index for index, key in enumerate(keys) if known[key] is None}.values())
        if missing:
            with self._db:
                for index, vector in zip(missing, embed([texts[index] for index in missing]), strict=True):
                    known[keys[index]] = np.asarray(vector, np.float32).tobytes()
                    self._db.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?)", (keys[index], known[keys[index]]))
        rows = [np.frombuffer(known[key] or b"", np.float32) for key in keys]
        return np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)

    def _get(self, key: bytes) -> bytes | None:
        row = self._db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None
