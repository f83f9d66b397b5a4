"""The words of a library's passages in a tantivy index: ranked by BM25, and made again from SQLite at any time.

The index holds numbers and stems of words, no texts. One entry, number 0, holds the library's identity and the
generation of the SQLite file that the index has reached; tantivy commits it together with the rest, all or nothing.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgeai.documents.words import query_words, words
from edgeai.errors import DocumentError

_MARK = 0
_STEMS = "stems"  # an index of another name for its words is made again
_HEAP_BYTES = 48_000_000
_MAX_EXPANSIONS = 64

_RARITY_POWER = 0.25
"""BM25 multiplies by a word's rarity (idf); this power of it comes on top. Of 0, 0.25, 0.5, 0.75 and 1 it gave the
highest recall@5 + MRR by words and vectors on the half of benchmarks.retrieval that is for fitting."""


class BrokenIndexError(DocumentError):
    """The index cannot be used and is to be made again."""


class WordIndex:
    """Passages by their words. Any number of processes read; who writes holds the library's lock."""

    def __init__(self, folder: Path) -> None:
        """Open the index, making an empty one where there is none.

        Raises:
            BrokenIndexError: it is damaged, or of another make.
            DocumentError: the folder cannot be written, or tantivy is not installed.
        """
        self.folder = folder
        self._tantivy = _tantivy()
        self._writer: Any = None
        self._schema = self._make_schema()
        self._stemmer = self._make_stemmer()
        with self._our_errors():
            folder.mkdir(mode=0o700, exist_ok=True)
            self._index = self._tantivy.Index(self._schema, path=str(folder), reuse=True)
            self._index.register_tokenizer(_STEMS, self._stemmer)
            self._index.config_reader("manual")
        self.reload()

    def reload(self) -> None:
        """See what was committed last."""
        with self._our_errors():
            self._index.reload()
            self._searcher = self._index.searcher()
            self.identity, self.generation = self._read_mark()

    @property
    def n_passages(self) -> int:
        """Passages in the index."""
        return max(0, int(self._searcher.num_docs) - 1)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """The best passages that hold any word of the query: their numbers and BM25 scores, best first."""
        whole, beginnings = query_words(query)
        if k < 1 or not (whole or beginnings):
            return []
        with self._our_errors():
            for beginning in beginnings:
                found = self._searcher.terms_with_prefix("words", beginning, limit=_MAX_EXPANSIONS)
                whole += [word for word, _ in found]
            should, boolean = self._tantivy.Occur.Should, self._tantivy.Query.boolean_query
            terms = [(should, self._term(stem)) for stem in dict.fromkeys(self._stemmer.analyze(" ".join(whole)))]
            hits = self._searcher.search(boolean(terms), k, count=False).hits
            ids = self._searcher.fast_field_values("id", [address for _, address in hits])
            return [(int(id_), float(score)) for id_, (score, _) in zip(ids, hits, strict=True)]

    def _term(self, stem: str) -> Any:
        """A stem to look for, which counts for more than in BM25 where it is rare.

        A question in a person's own words has many common ones, whose sum would outweigh the few that matter.
        """
        n_with = int(self._searcher.doc_freq("words", stem))
        n_without = max(0, int(self._searcher.num_docs) - n_with)  # what was deleted may be counted among n_with
        rarity = math.log(1 + (n_without + 0.5) / (n_with + 0.5))
        query_of = self._tantivy.Query
        term = query_of.term_query(self._schema, "words", stem, index_option="freq")
        return query_of.boost_query(term, rarity**_RARITY_POWER)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within the block, documents are added and deleted; `commit` makes that last."""
        with self._our_errors():
            self._writer = self._index.writer(_HEAP_BYTES, 1)
            self._writer.garbage_collect_files()  # what a killed one left would be in the way of files of its name
        try:
            yield
            with self._our_errors():
                self._writer.wait_merging_threads()
        finally:
            self._writer = None  # lets go of tantivy's own lock
            self._make_private()

    def delete(self, document: int) -> None:
        """Take out a document's passages."""
        with self._our_errors():
            self._writer.delete_documents_by_query(self._numbered("document", document))

    def add(self, document: int, passages: Iterable[tuple[int, str]]) -> None:
        """Put in a document's passages, each with its number."""
        with self._our_errors():
            for number, text in passages:
                entry = self._tantivy.Document()
                entry.add_unsigned("id", number)
                entry.add_unsigned("document", document)
                entry.add_text("words", " ".join(words(text)))
                self._writer.add_document(entry)

    def commit(self, identity: int, generation: int) -> None:
        """All since the last commit, and the generation that is reached with it, durably; `reload` shows it."""
        with self._our_errors():
            self._writer.delete_documents_by_query(self._numbered("id", _MARK))
            mark = self._tantivy.Document()
            mark.add_unsigned("id", _MARK)
            mark.add_unsigned("identity", identity)
            mark.add_unsigned("generation", generation)
            self._writer.add_document(mark)
            self._writer.commit()

    def _read_mark(self) -> tuple[int, int]:
        """(0, 0) of a new index."""
        found = self._searcher.search(self._numbered("id", _MARK), 2, count=False).hits
        addresses = [address for _, address in found]
        identities, generations = (
            self._searcher.fast_field_values(name, addresses) for name in ("identity", "generation")
        )
        if not addresses and not self._searcher.num_docs:
            return 0, 0
        if len(addresses) != 1 or identities[0] is None or generations[0] is None:
            raise BrokenIndexError(f"{self.folder}: the index has no mark of its own")
        return int(identities[0]), int(generations[0])

    def _numbered(self, name: str, number: int) -> Any:
        """The entries with this number; deleting by a query finds them, tantivy 0.27's deleting by a term does not."""
        return self._tantivy.Query.term_query(self._schema, name, number, index_option="basic")

    def _make_schema(self) -> Any:
        builder = self._tantivy.SchemaBuilder()
        builder.add_unsigned_field("id", indexed=True, fast=True)
        builder.add_unsigned_field("document", indexed=True)
        builder.add_unsigned_field("identity", fast=True)
        builder.add_unsigned_field("generation", fast=True)
        builder.add_text_field("words", tokenizer_name=_STEMS, index_option="freq")
        return builder.build()

    def _make_stemmer(self) -> Any:
        """English stems: `charged` finds `charging`. Other languages' words lose what looks like an English ending."""
        builder = self._tantivy.TextAnalyzerBuilder(self._tantivy.Tokenizer.whitespace())
        return builder.filter(self._tantivy.Filter.stemmer("english")).build()

    def _make_private(self) -> None:
        for path in self.folder.iterdir():
            with suppress(OSError):  # merged away meanwhile
                path.chmod(0o600)

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise DocumentError(f"{self.folder}: the index cannot be written ({exc}): {_ROOM}") from exc
        except BaseException as exc:
            if isinstance(exc, DocumentError) or not _is_tantivys(exc):
                raise
            if _is_writing_error(text := str(exc)):
                raise DocumentError(f"{self.folder}: the index cannot be written ({text[:200]}): {_ROOM}") from exc
            raise BrokenIndexError(f"{self.folder}: the index is damaged ({text[:200]})") from exc


_ROOM = "check the disk's free space and the folder's rights; no document is lost"


def remove(folder: Path) -> None:
    """Throw an index away; who still reads it goes on with what is open."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _is_tantivys(error: BaseException) -> bool:
    """Its errors are ValueErrors; a panic of its Rust code is a BaseException of a class that cannot be imported."""
    return isinstance(error, ValueError) or type(error).__name__ == "PanicException"


def _is_writing_error(text: str) -> bool:
    signs = ("StorageFull", "PermissionDenied", "ReadOnlyFilesystem", "FileTooLarge", "LockBusy")
    codes = [f"os error {code}" for code in (5, 13, 27, 28, 30)]  # EIO, EACCES, EFBIG, ENOSPC, EROFS
    return any(sign in text for sign in (*signs, *codes, os.strerror(28)))


def _tantivy() -> Any:
    try:
        import tantivy
    except ImportError as exc:
        raise DocumentError("searching documents needs tantivy: install edgeai[documents]") from exc
    return tantivy
