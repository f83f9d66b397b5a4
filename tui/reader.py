"""The thread that reads documents, so that the window always answers keys."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from textual.message import Message as Event

from edgeai.documents.read import file_state, read_document
from edgeai.documents.types import Document
from edgeai.errors import DocumentError
from edgeai.safe_text import one_line

_TELL_S = 0.05  # seconds between two words of progress
_KEPT_CHARS = 64_000_000
"""Characters of documents that stay in memory, so that changing between conversations reads nothing again."""


@dataclass(eq=False)
class ReadJob:
    """One document to be read."""

    path: Path
    password: str | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Stop reading it. Nothing is heard of it any more."""
        self._cancelled.set()


@dataclass
class DocumentReading(Event):
    """So many pages, or bytes, of a document have been read."""

    job: ReadJob
    n_done: int
    n_total: int


@dataclass
class DocumentRead(Event):
    """A document has been read."""

    job: ReadJob
    document: Document


@dataclass
class DocumentNotRead(Event):
    """A document cannot be read; one that is encrypted can with its password."""

    job: ReadJob
    error: DocumentError


class Reader:
    """Reads one document after the other.

    Args:
        post: takes the events, from the reader's thread.
        documents: that have been read already.
    """

    def __init__(self, post: Callable[[Event], object], documents: Iterable[Document] = ()) -> None:
        self._post = post
        self._jobs: queue.SimpleQueue[ReadJob] = queue.SimpleQueue()
        self._kept: dict[Path, tuple[object, Document, int]] = {}
        self._n_chars = 0
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        for document in documents:
            self._keep(Path.cwd() / document.path, _state(document.path), document)

    def read(self, path: Path, password: str | None = None) -> ReadJob:
        """Read a document; events tell of it."""
        job = ReadJob(path, password)
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="edgeai-reader", daemon=True)
            self._thread.start()
        return job

    def close(self) -> None:
        """Read nothing more; what is being read ends at its next page."""
        self._closed.set()

    # --- in the reader's thread ---

    def _run(self) -> None:
        while not self._closed.is_set():
            job = self._jobs.get()
            try:
                document = self._read(job)
            except _CancelledError:
                continue
            except DocumentError as exc:
                event: Event = DocumentNotRead(job, exc)
            except Exception as exc:  # noqa: BLE001 - the window must hear of it, and the next one must be read
                name = one_line(str(job.path))
                event = DocumentNotRead(job, DocumentError(f"{name}: reading failed ({type(exc).__name__}: {exc})"))
            else:
                event = DocumentRead(job, document)
            if not job.cancelled:
                self._post(event)

    def _read(self, job: ReadJob) -> Document:
        if job.cancelled:
            raise _CancelledError
        state = _state(job.path)
        kept = self._kept.get(job.path)
        if kept is not None and kept[0] == state is not None:
            return kept[1]

        told = 0.0

        def on_progress(n_done: int, n_total: int) -> None:
            nonlocal told
            if job.cancelled or self._closed.is_set():
                raise _CancelledError
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                self._post(DocumentReading(job, n_done, n_total))

        document = read_document(job.path, password=job.password, keep=True, on_progress=on_progress)
        self._keep(job.path, state, document)
        return document

    def _keep(self, path: Path, state: object, document: Document) -> None:
        """Keep a document, and of the others those that were read last."""
        if path in self._kept:
            self._n_chars -= self._kept.pop(path)[2]
        n_chars = sum(len(block.text) for block in document.blocks)
        self._kept[path] = (state, document, n_chars)
        self._n_chars += n_chars
        while self._n_chars > _KEPT_CHARS:
            self._n_chars -= self._kept.pop(next(iter(self._kept)))[2]


class _CancelledError(Exception):
    """Thrown through the reading process, which ends with it."""


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does."""
    try:
        return file_state(path.stat())
    except (OSError, ValueError):
        return None
