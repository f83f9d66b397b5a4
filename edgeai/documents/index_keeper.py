"""Keeps a library's word index level with its SQLite file, after a kill at any moment, damage or another's writing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgeai.documents import word_index
from edgeai.documents.library_db import LibraryDatabase
from edgeai.documents.library_lock import LibraryBusyError, writer_lock
from edgeai.documents.library_rows import passages_of
from edgeai.documents.passages import index_text
from edgeai.documents.word_index import BrokenIndexError, WordIndex

BATCH_CHARS = 8_000_000
"""After so many characters, what was added is committed: memory stays small, and a kill costs little."""

PATIENCE_S = 1.0
"""So long a writer waits for the folder's lock: another process's search that catches up holds it for moments."""

_logger = logging.getLogger(__name__)


class IndexKeeper:
    """SQLite commits first, the index second, each with the generation; so the index may only lag, and can catch up."""

    def __init__(self, folder: Path, db: LibraryDatabase) -> None:
        self._folder, self._db = folder, db
        self._index: WordIndex | None = None
        self._writing = threading.Lock()  # held by a thread while it writes, reading documents among it
        self._lock = threading.RLock()  # held for moments; a search needs this one alone
        self._identity = db.identity
        if (self._path / "meta.json").exists():  # only who holds the lock makes a new one
            try:
                self._index = WordIndex(self._path)
            except BrokenIndexError as exc:
                _logger.warning("%s: it is made again", exc)
        self._catch_up_if_free()

    @property
    def _path(self) -> Path:
        return self._folder / "index"

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """The best passages by their words; an index that turns out to be damaged is made again first."""
        with self._lock:
            self._refresh()
            try:
                return self._usable().search(query, k)
            except BrokenIndexError as exc:
                _logger.warning("%s: it is made again", exc)
                self._index = None
                self._catch_up_if_free()
                return self._usable().search(query, k)

    @contextmanager
    def writing(self) -> Iterator[WordIndex]:
        """The index, level with SQLite and ready to be written; the caller commits SQLite before the index."""
        with self._writing, ExitStack() as held:
            index = self._level_and_locked(held)
            with index.writing():
                yield index

    def commit(self, index: WordIndex, generation: int) -> None:
        """Make durable what was written since the last commit, and let searches see it."""
        index.commit(self._identity, generation)
        with self._lock:
            index.reload()

    def _level_and_locked(self, held: ExitStack) -> WordIndex:
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self._lock:  # without it, a search of ours that catches up could hold the folder's
                    held.enter_context(writer_lock(self._folder))
                    self._catch_up()
                    return self._usable()
            except LibraryBusyError:
                if time.monotonic() > give_up:
                    raise
            time.sleep(PATIENCE_S / 50)

    def _refresh(self) -> None:
        """See what others have committed; finish what a killed one has begun."""
        if self._index is None or self._index.generation != self._db.generation:
            self._reload()
            self._catch_up_if_free()

    def _reload(self) -> None:
        try:
            if self._index is not None:
                self._index.reload()
        except BrokenIndexError:
            self._index = None

    def _usable(self) -> WordIndex:
        if self._index is None:
            raise LibraryBusyError(f"{self._path}: the index is being made: try again in a moment")
        return self._index

    def _is_level(self) -> bool:
        index, generation = self._index, self._db.generation
        if index is None or index.generation != generation or index.identity != self._identity:
            return False
        return bool(index.n_passages == self._db.read("SELECT coalesce(sum(n_passages), 0) FROM documents")[0][0])

    def _catch_up_if_free(self) -> None:
        """Whoever writes at the moment brings the index up to date itself."""
        if not self._is_level():
            try:
                with writer_lock(self._folder):
                    self._catch_up()
            except LibraryBusyError:
                if self._index is None:
                    raise

    def _catch_up(self) -> None:
        """Under the lock: bring the index to SQLite's generation, from nothing where it cannot be trusted."""
        self._reload()
        if self._is_level():
            return
        index = self._index
        if index is None or index.identity != self._identity or index.generation >= self._db.generation:
            index = self._make_anew()
        try:
            self._add_what_lacks(index)
        except BrokenIndexError as exc:
            _logger.warning("%s: it is made again", exc)
            self._add_what_lacks(self._make_anew())

    def _make_anew(self) -> WordIndex:
        self._index = None
        word_index.remove(self._path)
        self._index = WordIndex(self._path)
        return self._index

    def _add_what_lacks(self, index: WordIndex) -> None:
        reached, target = index.generation, self._db.generation
        with index.writing():
            for (number,) in self._db.read("SELECT document FROM removed WHERE generation > ?", reached):
                index.delete(number)
            n_chars, generation = 0, reached
            for number, n, of_document in self._db.read(
                "SELECT id, n_chars, generation FROM documents WHERE generation > ? ORDER BY generation, id", reached
            ):
                if of_document > generation:
                    if n_chars > BATCH_CHARS:
                        self.commit(index, generation)
                        n_chars = 0
                    generation = of_document
                if reached:
                    index.delete(number)
                found = passages_of(self._db, number)
                index.add(number, ((passage_id, index_text(passage)) for passage_id, passage in found))
                n_chars += n
            self.commit(index, target)
