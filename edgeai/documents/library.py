"""Documents in a folder, searchable by words and by meaning, for as many questions as there are."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.documents import library_roots, library_update
from edgeai.documents.index_keeper import IndexKeeper
from edgeai.documents.library_db import LibraryDatabase
from edgeai.documents.library_lock import LibraryBusyError
from edgeai.documents.library_rows import (
    Prepared,
    delete,
    outdated_files,
    passages_by_number,
    path_key,
    path_prefix,
    prepared,
    replace,
    stored_documents,
    stored_files,
)
from edgeai.documents.library_types import Hit, LibraryStats, Progress, StoredDocument, UpdateReport
from edgeai.documents.passages import index_text
from edgeai.documents.search import fuse
from edgeai.documents.types import Document, OcrMode
from edgeai.documents.word_index import WordIndex
from edgeai.errors import DocumentError

if TYPE_CHECKING:
    from edgeai.documents.vectors import Embedder, Vectors

N_CANDIDATES = 50
"""How many of each ranking are fused."""

_logger = logging.getLogger(__name__)


class Library:
    """One folder of documents' texts and their index. Threads may share it; other processes may read it meanwhile.

    SQLite holds the truth, the index is made again from it. Whoever writes holds a lock while it does so.
    """

    def __init__(self, folder: Path) -> None:
        """Open the library of this folder; made, where there is none.

        Raises:
            DocumentError: it cannot be opened or is damaged; one line that says what to do.
        """
        self.folder = folder
        self._db = LibraryDatabase(folder / "library.sqlite")
        self._own_keeper: IndexKeeper | None = None
        self._lock = threading.Lock()
        self._vectors: dict[tuple[str, int], Vectors] = {}
        try:
            _ = self._keeper
        except BaseException as exc:
            if not isinstance(exc, DocumentError) or isinstance(exc, LibraryBusyError):
                self._db.close()
                raise
            # A full disk, or one that cannot be written: documents can be listed all the same; a search says it again.
            _logger.debug("%s: its index cannot be used: %s", folder, exc)

    @classmethod
    def open(cls, folder: Path) -> Library:
        """The library of this folder; made, where there is none."""
        return cls(folder)

    def close(self) -> None:
        """Close the files. May be called twice."""
        self._db.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def add(self, *documents: Document) -> None:
        """Store documents, each instead of what its path held, and make them searchable; durable on return."""
        self.add_prepared(prepared(document, library_update.stat(document.path)) for document in documents)

    def remove(self, path: Path) -> bool:
        """Take out a document; False where there is none of this path."""
        return self.remove_paths([path]) > 0

    def has(self, path: Path, sha256: str | None = None) -> bool:
        """Whether a document of this path is held, and its file had this content when it was read."""
        rows = self._db.read("SELECT sha256 FROM documents WHERE path = ?", path_key(path))
        return bool(rows) and sha256 in (None, rows[0][0])

    def update(
        self,
        paths: Iterable[Path] = (),
        *,
        read: Callable[[Path], Document],
        on_progress: Progress | None = None,
        away: Sequence[Path] | None = (),
        roots: Sequence[Path] = (),
        on_plan: Callable[[Sequence[Path]], None] | None = None,
        ocr: OcrMode = "auto",
    ) -> UpdateReport:
        """Read what is new or changed among these files and all that the library holds; take out what is gone.

        A file of the same size and time of change is taken for unchanged, one of the same SHA-256 too. What cannot be
        read is reported, and what was held of it stays. What an older edgeai has read otherwise is read again, and what
        has scanned pages that were not read, where `ocr` reads them. Where an exception ends the reading, what was read
        is kept.

        Args:
            paths: files that may be new.
            read: reads one; a DocumentError of it fails that file alone.
            on_progress: told the number of files that are done and of those that must be read.
            away: folders that are not there at the moment: what the library holds of them stays. None: nothing but
                `paths` is looked at.
            roots: given to `remember`, unless another process is writing.
            on_plan: told, before the first is read, the files that `read` will get, in their order.
            ocr: with which `read` reads; see `read_document`.
        """
        return library_update.update(self, paths, read, on_progress, away, roots, on_plan, ocr)

    def find_again(self, on_found: Callable[[int], None] | None = None) -> library_roots.Found:
        """The files that the remembered folders and globs stand for now, for `update`."""
        return library_roots.find_again(self._db, on_found)

    def remember(self, paths: Iterable[Path]) -> None:
        """Keep folders and globs among the paths, so that `find_again` finds new files in them."""
        library_roots.remember(self._db, paths)

    def roots(self) -> list[Path]:
        """The folders and globs that are remembered."""
        return library_roots.roots(self._db)

    def remove_below(self, path: Path) -> tuple[list[Path], bool]:
        """Take out the document of this path, or all below this folder, and let no update bring it back.

        Returns:
            The documents that were taken out, and whether the path, or one below, was remembered.
        """
        key, prefix = path_key(path), path_prefix(path)
        held = [Path(os.fsdecode(other)) for other in self.files() if other == key or other.startswith(prefix)]
        was_root = library_roots.has(self._db, path)
        if held or was_root:
            library_roots.forget(self._db, path)
            self.remove_paths(held)
        return held, was_root

    def documents(self) -> list[StoredDocument]:
        """All documents, by path."""
        return stored_documents(self._db)

    def files(self) -> dict[bytes, tuple[str, int, int]]:
        """Of each document's path, in bytes, its file's SHA-256, size and time of change (ns) when it was read."""
        return stored_files(self._db)

    def outdated(self, ocr: OcrMode) -> set[bytes]:
        """The paths, in bytes, of documents whose text or places are read otherwise now, with this `ocr`."""
        return outdated_files(self._db, ocr)

    def stats(self) -> LibraryStats:
        """How large the library is."""
        n_documents, n_passages, n_chars = self._db.read(
            "SELECT count(*), coalesce(sum(n_passages), 0), coalesce(sum(n_chars), 0) FROM documents"
        )[0]
        embedded = self._db.read(
            "SELECT name, count(vectors.id) FROM embedders LEFT JOIN vectors ON embedder = embedders.id GROUP BY name"
        )
        (text_bytes,) = self._db.read("SELECT coalesce(sum(length(CAST(text AS BLOB))), 0) FROM passages")[0]
        (vector_bytes,) = self._db.read("SELECT coalesce(sum(length(row) + 32), 0) FROM vectors")[
            0
        ]  # 32: its other columns
        database, index = (_bytes_of(self.folder.glob(pattern)) for pattern in ("library.sqlite*", "index/*"))
        sizes = (database, index, text_bytes, vector_bytes)
        return LibraryStats(n_documents, n_passages, n_chars, dict(embedded), *sizes)

    def remember_embedder(self, embedder_name: str, source: str) -> None:
        """Keep where an embedder is to be had: what `open_embedder` takes."""
        with self._db.transaction() as db:
            db.execute("INSERT OR REPLACE INTO embedder_sources VALUES (?, ?)", (embedder_name, source))

    def embedders(self) -> list[tuple[str, str]]:
        """The embedders of which there are vectors, the one with the most first: names and where they are to be had."""
        return self._db.read(
            "SELECT embedders.name, source FROM embedders "
            "JOIN embedder_sources ON embedder_sources.name = embedders.name "
            "JOIN vectors ON embedder = embedders.id GROUP BY embedders.id ORDER BY count(*) DESC"
        )

    def search(self, query: str, k: int = 10, *, embedder: Embedder | None = None, n_new_vectors: int = 8) -> list[Hit]:
        """The best passages for a question.

        Args:
            query: what a person typed; nothing in it is an operator.
            k: how many passages at most.
            embedder: searches by meaning too, among the passages that have vectors, and fuses both rankings.
            n_new_vectors: so many of the best passages by words get their vectors first, where they have none; this
                is what makes a first question slow.
        Returns:
            Hits, best first.
        """
        by_words = self._keeper.search(query, k if embedder is None else max(k, N_CANDIDATES))
        if embedder is None:
            ranked = [(number, score, {"words": rank}) for rank, (number, score) in enumerate(by_words, 1)]
            return self._hits(ranked, {}, k)
        vectors = self._vectors_of(embedder)
        words = [number for number, _ in by_words]
        self._embed(vectors, embedder, vectors.missing(words[:n_new_vectors]) if query.strip() else [])
        by_meaning = dict(vectors.search(embedder, query, max(k, N_CANDIDATES)) if query.strip() else [])
        return self._hits(fuse({"words": words, "vectors": list(by_meaning)}), by_meaning, k)

    def embed_pending(
        self,
        embedder: Embedder,
        on_progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
        n_batch: int = 16,
    ) -> bool:
        """Make the vectors that lack, batch after batch; each batch is kept, so that a later call goes on from there.

        Args:
            embedder: makes them.
            on_progress: told the number of passages that have a vector and of all.
            stop: asked before each batch.
            n_batch: passages in a batch.
        Returns:
            Whether all passages have one now.
        """
        vectors = self._vectors_of(embedder)
        n_done, last = vectors.n_done(), 0
        while batch := vectors.pending(n_batch, last):
            if stop():
                return False
            n_done += self._embed(vectors, embedder, batch)
            last = batch[-1]
            if on_progress:
                on_progress(n_done, self._db.read("SELECT sum(n_passages) FROM documents")[0][0] or 0)
        return True

    def add_prepared(self, items: Iterable[Prepared], gone: Sequence[Path] = ()) -> None:
        """Store documents that were cut, as they come, a batch at a time; then take out what is gone."""
        with self._keeper.writing() as index:
            for batch in library_update.batches(items):
                self._write(index, batch, [])
            if known := [path for path in gone if self.has(path)]:
                self._write(index, [], known)

    def remove_paths(self, paths: Sequence[Path]) -> int:
        """Take out documents; how many there were."""
        known = [path for path in paths if self.has(path)]
        if known:
            with self._keeper.writing() as index:
                self._write(index, [], known)
        return len(known)

    def touch(self, times: Sequence[tuple[Path, int]]) -> None:
        """Note that files were written anew, at these times (ns), with the same content."""
        rows = [(mtime_ns, path_key(path)) for path, mtime_ns in times]
        with self._db.transaction() as db:
            db.executemany("UPDATE documents SET mtime_ns = ? WHERE path = ?", rows)

    @property
    def _keeper(self) -> IndexKeeper:
        """Of the index; made again when it is needed, where it could not be."""
        with self._lock:
            self._own_keeper = self._own_keeper or IndexKeeper(self.folder, self._db)
            return self._own_keeper

    def _write(self, index: WordIndex, items: Sequence[Prepared], gone: Sequence[Path]) -> None:
        """SQLite first: a kill between both leaves an index that lags, and the next one to open it catches up."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM removed WHERE generation <= ?", (index.generation,))
            db.execute("UPDATE library SET generation = generation + 1")
            (generation,) = db.execute("SELECT generation FROM library").fetchone()
            old = [delete(db, path_key(path), generation) for path in gone]
            added = []
            for item in items:
                replaced, new, ids = replace(db, item, generation)
                old.append(replaced)
                added.append((new, ids))
        for number in old:
            if number is not None:
                index.delete(number)
        last = {number: (item, ids) for item, (number, ids) in zip(items, added, strict=True)}
        for number, (item, ids) in last.items():
            if number not in old:  # a path that came twice: the later one holds
                index.add(number, zip(ids, map(index_text, item.passages), strict=True))
        self._keeper.commit(index, generation)

    def _hits(
        self, ranked: Sequence[tuple[int, float, dict[str, int]]], cosines: dict[int, float], k: int
    ) -> list[Hit]:
        """What was removed since the index was read is left out."""
        passages = passages_by_number(self._db, (number for number, _, _ in ranked[: k * 2]))
        hits = [
            Hit(passages[number], score, ranks, cosines.get(number), number)
            for number, score, ranks in ranked
            if number in passages
        ]
        return hits[:k]

    def _vectors_of(self, embedder: Embedder) -> Vectors:
        from edgeai.documents.vectors import Vectors

        key = (embedder.name, embedder.dimension)
        with self._lock:
            if key not in self._vectors:
                self._vectors[key] = Vectors(self._db, *key)
            return self._vectors[key]

    def _embed(self, vectors: Vectors, embedder: Embedder, numbers: Sequence[int]) -> int:
        """How many there still were."""
        passages = passages_by_number(self._db, numbers)
        if passages:
            vectors.add(embedder, list(passages), [index_text(passage) for passage in passages.values()])
        return len(passages)


def _bytes_of(paths: Iterable[Path]) -> int:
    stats = (library_update.stat(path) for path in paths)
    return sum(stat.st_size for stat in stats if stat)
