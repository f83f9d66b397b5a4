"""Any GGUF embedding model as an embedder: llama.cpp computes, in the sandboxed process of `edgeai.engine.embedding`.

with GGUFEmbedder("bge-m3-Q8_0.gguf") as embedder:
    near = embedder.embed_query(["How do I reset it?"]) @ embedder.embed_passages(texts).T
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from edgeai.documents.embedding_prefixes import Prefixes, prefixes_of
from edgeai.engine.embed_wire import Pooling
from edgeai.engine.embedding import EmbeddingEngine
from edgeai.errors import EngineCrashedError, ModelFormatError
from edgeai.safe_text import one_line

if TYPE_CHECKING:
    from edgeai.documents.vectors import F32

_MAX_NAME_CHARS = 60
_SHOWN_DIGITS = 16
_HARMLESS = "a"
_log = logging.getLogger(__name__)


class GGUFEmbedder:
    """See `edgeai.documents.vectors.Embedder`. Its vectors have the length 1. Any thread may call; they take turns.

    Where the engine crashes or hangs, it is asked again, text by text; the text at fault gets a vector of zeros, which
    is near to nothing.

    Attributes:
        name: the model's own name, and a hash of its content and of all that its vectors depend on.
        dimension: numbers in a vector.
        n_ctx: tokens of a text; what is longer is cut.
        prefixes: what is read before a question and before a passage.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        n_threads: int | None = None,
        *,
        n_ctx: int | None = None,
        pooling: Pooling | None = None,
        prefixes: Prefixes | None = None,
    ) -> None:
        """Load the model.

        Args:
            path: a .gguf file.
            n_threads: None follows the free cores.
            n_ctx: tokens of a text; None takes what the model was trained for, at most 2,048.
            pooling: None takes what the model's metadata say.
            prefixes: None takes what is known of the model.

        Raises:
            ModelNotFoundError: no such file.
            ModelFormatError: the file is damaged, or no embedding model.
            ModelTooLargeError: it does not fit the memory that is free.
            EngineCrashedError: the engine crashed or hung while it loaded the model.
        """
        self._engine = engine = EmbeddingEngine(path, n_threads=n_threads, n_ctx=n_ctx, pooling=pooling)
        self.dimension, self.n_ctx = engine.dimension, engine.n_ctx
        self.prefixes = prefixes or prefixes_of(engine.architecture, engine.name, engine.path.stem)
        facts = (engine.sha256, engine.plan.pooling, engine.n_ctx, *self.prefixes)
        digest = hashlib.sha256(repr(facts).encode("utf-8", "replace")).hexdigest()
        self.name = f"{engine.name[:_MAX_NAME_CHARS].strip()} {digest[:_SHOWN_DIGITS]}"

    def embed_query(self, texts: Sequence[str]) -> F32:
        """Questions; [n, dimension].

        Raises:
            EngineCrashedError: the engine fails with any text, or was killed; the next call starts a new one.
            ModelFormatError: the model gives no numbers.
        """
        return self._embed(self.prefixes.query, texts)

    def embed_passages(self, texts: Sequence[str]) -> F32:
        """Passages; [n, dimension]. Raises as `embed_query`."""
        return self._embed(self.prefixes.passage, texts)

    def _embed(self, prefix: str, texts: Sequence[str]) -> F32:
        whole = [prefix + text for text in texts]
        try:
            return self._asked(whole)
        except EngineCrashedError as exc:
            _log.info("the engine that embeds %s: asked again, text by text", one_line(exc.end))
            return np.concatenate([self._one(text) for text in whole])

    def _one(self, text: str) -> F32:
        try:
            return self._asked([text])
        except EngineCrashedError as exc:
            if exc.signal == "SIGKILL" and exc.hung_s is None:  # no text does that
                raise
            self._asked([_HARMLESS])  # raises where the text is not to blame
            _log.warning("the engine that embeds %s: this text is found by its words alone", one_line(exc.end))
            return np.zeros((1, self.dimension), np.float32)

    def _asked(self, texts: Sequence[str]) -> F32:
        data = self._engine.embed(texts)
        vectors = np.frombuffer(data, "<f4").reshape(len(texts), self.dimension).astype(np.float32)
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)  # [n, 1]
        if not np.isfinite(lengths).all() or not lengths.all():
            raise ModelFormatError(
                f"{self._engine.path}: it gives vectors that are no numbers, or zero: its weights are damaged; fetch "
                "the file again"
            )
        unit: F32 = (vectors / lengths).astype(np.float32)
        return unit

    def close(self) -> None:
        """End the engine's process. May be called twice."""
        self._engine.close()

    def __enter__(self) -> GGUFEmbedder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
