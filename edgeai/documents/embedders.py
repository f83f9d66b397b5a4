"""The embedder that a name means."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgeai.errors import EdgeAIError

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.documents.vectors import Embedder

_log = logging.getLogger(__name__)

DEFAULT = "e5"
"""The embedder where none is named."""


def open_embedder(name_or_path: str | None = None, *, n_threads: int | None = None) -> Embedder:
    """Load an embedding model.

    Args:
        name_or_path: "e5", the name of an installed model, or the path of a .gguf file; None is "e5".
        n_threads: for the computation; None leaves it to the embedder.
    Raises:
        DocumentError: e5 is not installed.
        ModelError: no such model, or none that embeds.
        EngineCrashedError: the engine crashed or hung while it loaded the model.
    """
    if name_or_path not in (None, DEFAULT):
        from edgeai.catalog import Catalog
        from edgeai.documents.gguf_embedder import GGUFEmbedder

        return GGUFEmbedder(Catalog.load().resolve(name_or_path).path, n_threads)
    from edgeai.documents.e5_process import E5Process

    return E5Process(n_threads)


def embedder_of(library: Library) -> Embedder | None:
    """The embedder that a library's passages were embedded with; None where they were not, or it cannot be had here."""
    for name, source in library.embedders():
        try:
            embedder = open_embedder(source)
        except EdgeAIError as exc:
            _log.warning("%s searches by words alone: %s", library.folder.name, exc)
            continue
        if embedder.name == name:
            return embedder
        close(embedder)  # another model stands in its place by now
    return None


def close(embedder: Embedder) -> None:
    """End an embedder's process, where it has one."""
    getattr(embedder, "close", lambda: None)()
