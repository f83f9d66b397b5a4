"""The process that reads one document: it enters the sandbox, takes the bytes, sends what stands in them and ends."""

from __future__ import annotations

import contextlib
import importlib
import io
import mimetypes
import os
import threading

from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints, kind_of
from edgeai.documents.reading.wire import Bytes, Job, Refused, Request
from edgeai.engine.parent import parents_pipe
from edgeai.engine.wire import Pipe
from edgeai.errors import DocumentError
from edgeai.sandbox import enter

_FORMATS = {
    "pdf": "pdf",
    "docx": "docx",
    "pptx": "pptx",
    "xlsx": "xlsx",
    "html": "html",
    "epub": "epub",
    "markdown": "markdown",
    "text": "text",
    "csv": "delimited",
    "json": "json_text",
    "jsonl": "json_text",
    "code": "code",
    "notebook": "notebook",
    "eml": "mail",
}
"""The module that reads a kind; it has `read(data, out, hints)`."""


def main(parent_pid: int) -> None:
    """Read the document that comes through the pipe; `parent_pid` is the process that sends it."""
    pipe: Pipe[Request] = parents_pipe(parent_pid, Request)
    with contextlib.suppress(EOFError, BrokenPipeError):
        job = pipe.receive()
        assert isinstance(job, Job)
        mimetypes.knownfiles.clear()  # openpyxl asks for the types of suffixes, which would be looked up in /etc
        enter(job.policy)
        _answer(job, pipe)
    os._exit(0)  # native libraries would take their time


def _answer(job: Job, pipe: Pipe[Request]) -> None:
    try:
        data = _receive(job.n_bytes, pipe)
        threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
        read_bytes(data, Hints(job.expected, job.suffix, job.password, job.ocr), Output(pipe.send))
    except DocumentError as exc:
        pipe.send(Refused(str(exc), exc.needs_password))
    except MemoryError:
        pipe.send(
            Refused(
                "reading it takes more memory than so small a file may: expected a file that grows less when it is "
                "read; split it, or save it again in its program"
            )
        )


def read_bytes(data: bytes, hints: Hints, out: Output) -> None:
    """Read a document in this process, unprotected.

    Raises:
        DocumentError: it cannot be read; without the file's name.
    """
    out.kind = hints.expected or "document"
    try:
        out.kind = kind_of(data, hints)
        importlib.import_module(f"edgeai.documents.reading.{_FORMATS[out.kind]}").read(data, out, hints)
        out.finish()
    except (DocumentError, MemoryError, BrokenPipeError):
        raise
    except ImportError as exc:
        name = (exc.name or "a library").partition(".")[0]
        raise DocumentError(
            f"reading {out.kind} needs {name}, which is not installed: pip install 'edgeai[documents]'"
        ) from exc
    except Exception as exc:
        reason = f"{type(exc).__name__}: {exc}"[:200]
        raise DocumentError(
            f"damaged or cut short ({reason}): expected a whole file ({out.kind}); fetch it again, or save it anew in "
            "its program"
        ) from exc


def _receive(n_bytes: int, pipe: Pipe[Request]) -> bytes:
    buffer = io.BytesIO()
    while buffer.tell() < n_bytes:
        message = pipe.receive()
        assert isinstance(message, Bytes)
        buffer.write(message.data)
    return buffer.getvalue()  # the buffer itself, not a copy


def _end_with_parent(pipe: Pipe[Request]) -> None:
    """There is no second job: whatever comes, or the pipe's end, is the end."""
    with contextlib.suppress(EOFError, OSError, ValueError):
        pipe.receive()
    os._exit(0)
