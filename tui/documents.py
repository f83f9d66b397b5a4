"""Documents for a command: read, with a line for each that cannot be, and a context window that holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.catalog import Catalog
from edgeai.documents.read import find_documents, read_document
from edgeai.documents.scans import advice
from edgeai.errors import DocumentError
from edgeai.fit import AUTO_N_CTX
from edgeai.model_shape import ModelShape
from edgeai.safe_text import one_line
from tui import session_options
from tui.docs_words import counted
from tui.output import message
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.documents.types import Document, OcrMode
    from edgeai.session import Session

_CHARS_A_TOKEN = 3  # English has four or five, numbers and code fewer
_MOST_CHARS_A_TOKEN = 6
_ROOM = 512  # tokens, for the question and the answer


def read_documents(
    paths: Sequence[Path], password: str | None, line: ProgressLine, ocr: OcrMode = "auto"
) -> tuple[list[Document], int]:
    """The documents that paths stand for, and how many could not be read: a line on stderr tells of each."""
    documents: list[Document] = []
    n_failed = 0
    for found in find_documents(paths):
        try:
            if isinstance(found, DocumentError):
                raise found
            line.start()
            document = read_document(found, password=password, keep=True, ocr=ocr, on_progress=_shown(line, found))
        except DocumentError as exc:
            n_failed += 1
            line.clear()
            message("error", str(exc), "red")
            continue
        documents.append(document)
        if document.pages_without_text:
            line.clear()
            message("note", _scanned(document), "yellow")
    return documents, n_failed


def open_session_with(documents: Sequence[Document], model: str | None, **options: Any) -> Session:
    """A session that has read documents, whose window holds them where that can be, and whose states are kept.

    Args:
        documents: may be none; then it is a session like any other.
        model: as for `edgeai.Session`.
        options: the same; what is given there counts.
    """
    if not documents:
        return session_options.open_session(model, **options)
    if "n_ctx" not in options and n_ctx_for(documents, None) is not None:
        trained = ModelShape.from_file(Catalog.load().resolve(model).path).n_ctx_train
        if (n_ctx := n_ctx_for(documents, trained)) is not None:
            options["n_ctx"] = n_ctx
    session = session_options.open_session(model, **{"keep_states": True, **options})
    session.documents = documents
    return session


def n_ctx_for(documents: Sequence[Document], n_ctx_train: int | None) -> int | None:
    """A context window that holds documents and a question about them; None where the usual one does, or none can.

    Windows double from the usual one on: the same document then finds the same window, and what was evaluated for it.
    """
    n_chars = sum(len(block.text) for document in documents for block in document.blocks)
    if n_ctx_train is not None and n_chars > _MOST_CHARS_A_TOKEN * n_ctx_train:
        return None  # passages of it are searched, which need no more than the usual window
    return window_of(n_chars // _CHARS_A_TOKEN, n_ctx_train)


def window_of(n_tokens: int, n_ctx_train: int | None) -> int | None:
    """A window for so many tokens and an answer; None where the usual one is enough."""
    n_ctx = AUTO_N_CTX
    while n_ctx < n_tokens + _ROOM:
        n_ctx *= 2
    n_ctx = min(n_ctx, n_ctx_train or n_ctx)
    return n_ctx if n_ctx > AUTO_N_CTX else None


def holds(n_ctx: int, n_tokens: int) -> bool:
    """Whether a window has room for so many tokens, a question and an answer."""
    return n_tokens + _ROOM <= n_ctx


def _shown(line: ProgressLine, path: Path) -> Callable[[int, int], None]:
    name = one_line(path.name)
    return lambda n_done, n_total: line.show(f"reading {name}: {n_done:,} of {n_total:,}")


def _scanned(document: Document) -> str:
    pages = document.pages_without_text
    some = ", ".join(map(str, pages[:5])) + (" …" if len(pages) > 5 else "")
    verb = "is a picture" if len(pages) == 1 else "are pictures"
    what = f"{len(pages)} of {counted(document.n_pages or len(pages), 'page')} {verb} without text (p. {some})"
    return f"{document.path}: {what}: {advice(document.ocr)}"
