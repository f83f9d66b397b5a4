"""Finding passages for a question in documents and libraries, whichever a session was given."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from edgeai.documents.embedders import close, embedder_of
from edgeai.documents.library import Library
from edgeai.documents.library_types import Hit
from edgeai.documents.relevance import is_relevant
from edgeai.documents.scratch import ScratchFolder
from edgeai.documents.search import fuse
from edgeai.documents.types import Document
from edgeai.documents.vectors import Embedder
from edgeai.errors import EdgeAIError

N_HITS = 24
_log = logging.getLogger(__name__)


class Finder:
    """Searches documents, of which it makes a library for itself, and libraries."""

    def __init__(self, documents: Sequence[Document], libraries: Sequence[Library]) -> None:
        """
        Raises:
            DocumentError: the documents cannot be made searchable.
        """
        self._libraries: list[tuple[Library, Embedder | None]] = []
        held = ExitStack()
        self.close: Callable[[], object] = weakref.finalize(self, _close, held, os.getpid())
        """Remove what was made; the libraries that were given stay open. May be called twice."""
        try:
            for library in libraries:
                if (embedder := embedder_of(library)) is not None:
                    held.callback(close, embedder)
                self._libraries.append((library, embedder))
            if documents:
                folder = ScratchFolder()
                held.callback(folder.remove)
                own = held.enter_context(Library(folder.path))
                own.add(*documents)
                self._libraries.append((own, None))
        except BaseException:
            self.close()
            raise

    def search(self, question: str) -> list[Hit]:
        """The best passages for a question, best first; none where none of them can answer it."""
        hits = self._ranked(question)
        return hits if is_relevant(question, hits) else []

    def _ranked(self, question: str) -> list[Hit]:
        found = [self._found(source, question) for source in range(len(self._libraries))]
        if len(found) == 1:
            return found[0]
        every = [replace(hit, source=source) for source, hits in enumerate(found) for hit in hits]
        rankings = dict[str, list[int]]()
        for place, hit in enumerate(every):
            rankings.setdefault(str(hit.source), []).append(place)
        return [every[place] for place, _, _ in fuse(rankings)][:N_HITS]

    def _found(self, source: int, question: str) -> list[Hit]:
        """Of one library; by words alone from when its embedder fails: no question is to fail with it."""
        library, embedder = self._libraries[source]
        try:
            return library.search(question, N_HITS, embedder=embedder)
        except EdgeAIError as exc:
            if embedder is None:
                raise
            _log.warning("%s is searched by words alone: %s", library.folder.name, exc)
            self._libraries[source] = (library, None)
            close(embedder)
            return library.search(question, N_HITS)


def _close(held: ExitStack, pid: int) -> None:
    """In a forked child all of it still is its parent's."""
    if os.getpid() == pid:
        held.close()
