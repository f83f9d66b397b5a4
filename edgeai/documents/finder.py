"""Finding passages for a question in documents and libraries, whichever a session was given."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeai.documents.embedders import close, embedder_of
from edgeai.documents.library import Library
from edgeai.documents.library_types import Hit
from edgeai.documents.relevance import is_relevant
from edgeai.documents.search import fuse
from edgeai.documents.types import Document
from edgeai.documents.vectors import Embedder

N_HITS = 24


class Finder:
    """Searches documents, of which it makes a library for itself, and libraries."""

    def __init__(self, documents: Sequence[Document], libraries: Sequence[Library]) -> None:
        self._libraries: list[tuple[Library, Embedder | None]] = [(each, embedder_of(each)) for each in libraries]
        own, folder = None, ""
        if documents:
            # It holds what the documents say: a folder of the user's alone, which goes with this object at the latest.
            folder = tempfile.mkdtemp(prefix="edgeai-documents-")
            own = Library(Path(folder))
            self._libraries.append((own, None))
        embedders = [embedder for _, embedder in self._libraries if embedder]
        self.close: Callable[[], object] = weakref.finalize(self, _close, embedders, own, folder)
        """Remove what was made; the libraries that were given stay open. May be called twice."""
        if own:
            own.add(*documents)

    def search(self, question: str) -> list[Hit]:
        """The best passages for a question, best first; none where none of them can answer it."""
        hits = self._ranked(question)
        return hits if is_relevant(question, hits) else []

    def _ranked(self, question: str) -> list[Hit]:
        found = [library.search(question, N_HITS, embedder=embedder) for library, embedder in self._libraries]
        if len(found) == 1:
            return found[0]
        every = [hit for hits in found for hit in hits]
        places = {id(hit): place for place, hit in enumerate(every)}
        rankings = {str(number): [places[id(hit)] for hit in hits] for number, hits in enumerate(found)}
        return [every[place] for place, _, _ in fuse(rankings)][:N_HITS]


def _close(embedders: Sequence[Embedder], own: Library | None, folder: str) -> None:
    for embedder in embedders:
        close(embedder)
    if own:
        own.close()
        shutil.rmtree(folder, ignore_errors=True)
