"""What a report is written from: documents that were read for it, and libraries, searched as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeai.documents.finder import Finder
from edgeai.documents.library_types import Hit
from edgeai.documents.search import fuse

if TYPE_CHECKING:
    from edgeai.documents.library import Library

_OWN = -1  # no library of the user's has this number


class Shelf:
    """Finds passages. The documents are searched by words; the libraries by meaning too, where they were embedded."""

    def __init__(self, own: Library | None, libraries: Sequence[Library] = ()) -> None:
        """
        Args:
            own: of the documents; None where there are none.
            libraries: the user's; they are left open.
        """
        self._all = [*filter(None, [own]), *libraries]
        self._own = own
        self._finder = Finder((), libraries) if libraries else None

    def search(self, question: str, k: int) -> list[Hit]:
        """The best passages for a question, best first; a library's only where they can answer it."""
        own = self._own.search(question, k) if self._own else []
        found = self._finder.search(question) if self._finder else []
        every = [*(replace(hit, source=_OWN) for hit in own), *found]
        ranked = fuse({"own": range(len(own)), "libraries": range(len(own), len(every))})
        return [every[place] for place, _, _ in ranked][:k]

    def has_word(self, word: str) -> bool:
        """Whether a word, as the index takes words, stands anywhere."""
        return any(library.search(word, 1) for library in self._all)

    def close(self) -> None:
        """End what makes vectors of questions."""
        if self._finder:
            self._finder.close()
