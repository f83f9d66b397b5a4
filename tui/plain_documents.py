"""The documents of the conversation line by line: `/doc`, and those that a stored conversation is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.documents.read import read_document
from edgeai.documents.types import Document
from edgeai.errors import DocumentError, OptionError
from edgeai.safe_text import one_line
from tui.document_refs import MAX_DOCUMENTS, DocumentRef, absolute, refs_of
from tui.documents import read_documents
from tui.dropped_paths import typed_paths
from tui.output import message
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.documents.library import Library
    from edgeai.sources import Source

_REMOVE = "remove"


class LineDocuments:
    """What a conversation is about.

    Args:
        refs: as they are stored with it; each is read, and a line on stderr tells of what has changed or is not there.
        read: documents that have been read already.
        password: of encrypted ones.

    Attributes:
        libraries: that are searched too.
    """

    def __init__(
        self,
        refs: Iterable[DocumentRef] = (),
        read: Iterable[Document] = (),
        password: str | None = None,
        libraries: Iterable[Library] = (),
    ) -> None:
        self.libraries = tuple(libraries)
        self._password = password
        self._read = {str(absolute(document.path)): document for document in read}
        self._missing: dict[str, DocumentRef] = {}
        refs = list(refs)
        for ref in refs:
            if ref.path not in self._read:
                self._restore(ref)
        self._order = [ref.path for ref in refs if ref.path in self._read]
        self._order += [path for path in self._read if path not in self._order]

    @property
    def all(self) -> tuple[Source, ...]:
        """What the model answers from."""
        return (*self.documents, *self.libraries)

    @property
    def documents(self) -> tuple[Document, ...]:
        """Those that were read, in the order in which they were added."""
        return tuple(self._read[path] for path in self._order)

    @property
    def refs(self) -> tuple[DocumentRef, ...]:
        """All as they are stored, also those that are not there at the moment."""
        return (*self._missing.values(), *refs_of(self.documents))

    def obey(self, rest: str) -> str:
        """Do what `/doc` and the rest of the line say: add, remove or show; what is said then.

        Raises:
            OptionError: no document has this name, or there would be too many.
            DocumentError: not all of them could be read; those that could are added.
        """
        if rest.split()[:1] == [_REMOVE]:
            return self._remove(rest[len(_REMOVE) :].strip())
        if rest and (n_failed := self._add(typed_paths(rest, Path.cwd()))):
            raise DocumentError(f"not added: {n_failed} of what /doc names; /doc shows what there is")
        libraries = (f"{one_line(library.folder.name)} (library)" for library in self.libraries)
        missing = (f"{_name(path)} (cannot be read)" for path in self._missing)
        shown = (*map(_line, self.documents), *missing, *libraries)
        return "\n".join(shown) or "There is no document: /doc PATH adds one."

    def _add(self, paths: Sequence[Path]) -> int:
        """Read and add what can be read; how many cannot, a line tells of each."""
        with ProgressLine() as line:
            documents, n_failed = read_documents(paths, self._password, line)
        new = {str(absolute(document.path)): document for document in documents}
        if len({**self._read, **new}) > MAX_DOCUMENTS:
            raise OptionError(f"more than {MAX_DOCUMENTS} documents: a conversation takes at most {MAX_DOCUMENTS}")
        self._read |= new
        self._order += [path for path in new if path not in self._order]
        for path in new:
            self._missing.pop(path, None)
        return n_failed

    def _remove(self, name: str) -> str:
        found = [path for path in (*self._order, *self._missing) if name in (path, _name(path))]
        if len(found) != 1:
            names = ", ".join(map(_name, (*self._order, *self._missing))) or "none"
            given = f"/doc remove {one_line(name)}".rstrip()
            raise OptionError(f"{given}: expected the name of one document, of these: {names}")
        self._missing.pop(found[0], None)
        if found[0] in self._order:
            self._order.remove(found[0])
            del self._read[found[0]]
        return f"Removed: {_name(found[0])}"

    def _restore(self, ref: DocumentRef) -> None:
        """Read what a stored conversation is about: the file itself, whatever folder or glob its name has become."""
        path = Path(ref.path)
        try:
            with ProgressLine() as line:
                shown = f"reading {one_line(path.name)}"
                document = read_document(
                    path,
                    password=self._password,
                    keep=True,
                    on_progress=lambda n_done, n_total: line.show(f"{shown}: {n_done:,} of {n_total:,}"),
                )
        except DocumentError as exc:
            self._missing[ref.path] = ref
            message("error", str(exc), "red")
            message("note", "the conversation goes on without it", "yellow")
            return
        self._read[ref.path] = document
        if document.sha256 != ref.sha256:
            words = f"{one_line(ref.path)} has changed since this conversation read it: it goes on with what it says"
            message("note", f"{words} now", "yellow")


def _name(path: str) -> str:
    return one_line(Path(path).name)


def _line(document: Document) -> str:
    pages = f", {document.n_pages:,} pages" if document.n_pages else ""
    return f"{one_line(document.path.name)} ({document.kind}{pages})"
