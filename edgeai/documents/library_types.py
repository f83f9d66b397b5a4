"""What a library says of itself and of what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeai.documents.passages import Passage

Progress = Callable[[int, int], None]
"""Called with the number that is done and the number of all."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of a library.

    Attributes:
        path: its file, absolute.
        kind: "pdf", "markdown" …
        title: its own or its file's name; hostile text.
        sha256: of the file as it was read.
        n_bytes: the file's size then.
        mtime_ns: when the file had been changed last, then.
        n_pages: pages, slides or sheets; None where there are none.
        n_passages: what it was cut into.
        added: UTC, ISO 8601.
    """

    path: Path
    kind: str
    title: str
    sha256: str
    n_bytes: int
    mtime_ns: int
    n_pages: int | None
    n_passages: int
    added: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        passage: what was found.
        score: higher is better; comparable within one search only.
        ranks: its place, from 1, in each ranking that it stands in: "words", "vectors".
        cosine: of its vector and the question's, -1 … 1; None where it was not found by vectors.
        id: the passage's number in the library.
        source: which of the libraries that were searched together holds it, from 0.
    """

    passage: Passage
    score: float
    ranks: Mapping[str, int]
    cosine: float | None
    id: int
    source: int = 0


@dataclass(frozen=True, slots=True)
class LibraryStats:
    """How large a library is.

    Attributes:
        n_documents: documents.
        n_passages: their passages.
        n_chars: of all passages.
        n_embedded: passages that have a vector, by the embedder's name.
        database_bytes: on the disk, texts and vectors.
        index_bytes: on the disk, the words.
        text_bytes: of all passages, as UTF-8.
        vector_bytes: of `database_bytes`, about what the vectors take.
    """

    n_documents: int
    n_passages: int
    n_chars: int
    n_embedded: Mapping[str, int]
    database_bytes: int
    index_bytes: int
    text_bytes: int
    vector_bytes: int


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did.

    Attributes:
        added: files that are new.
        changed: those whose content is another.
        reread: those that an older edgeai has read otherwise.
        removed: those that are gone.
        unchanged: how many others there are.
        failed: paths with one line each.
        n_passages: of what was read.
    """

    added: tuple[Path, ...] = ()
    changed: tuple[Path, ...] = ()
    reread: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()
    unchanged: int = 0
    failed: tuple[tuple[Path, str], ...] = ()
    n_passages: int = 0
