"""The process that takes a deck apart: it enters the sandbox, takes the bytes, sends the slides one by one and ends."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from edgeai.documents.reading.sniff import Hints, kind_of
from edgeai.engine.parent import parents_pipe
from edgeai.engine.wire import Pipe
from edgeai.errors import DocumentError
from edgeai.review.wire import Began, Bytes, Ended, Job, RawSlide, Refused, Request
from edgeai.sandbox import enter

_KINDS = {"pdf": "edgeai.review.pdf_slides", "pptx": "edgeai.review.pptx_slides"}
"""The module that takes a kind apart; it has `slides(data, job)`, which gives their number first."""


def main(parent_pid: int) -> None:
    """Take the deck apart that comes through the pipe; `parent_pid` is the process that sends it."""
    pipe: Pipe[Request] = parents_pipe(parent_pid, Request)
    with contextlib.suppress(EOFError, BrokenPipeError):
        job = pipe.receive()
        assert isinstance(job, Job)
        enter(job.policy)
        _answer(job, pipe)
    os._exit(0)  # native libraries would take their time


def _answer(job: Job, pipe: Pipe[Request]) -> None:
    try:
        buffer = io.BytesIO()
        while buffer.tell() < job.n_bytes:
            message = pipe.receive()
            assert isinstance(message, Bytes)
            buffer.write(message.data)
        threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
        take_apart(buffer.getvalue(), job, pipe.send)
    except DocumentError as exc:
        pipe.send(Refused(str(exc), exc.needs_password))
    except MemoryError:
        pipe.send(
            Refused("it takes more memory than so small a file may: expected an ordinary deck; split or save it anew")
        )


def take_apart(data: bytes, job: Job, send: Callable[[Any], None]) -> None:
    """Send a deck's slides, from this process, unprotected.

    Raises:
        DocumentError: it cannot be read; without the file's name.
    """
    kind = kind_of(data, Hints("pptx" if job.suffix.startswith(".pp") else "pdf", job.suffix))
    if kind not in _KINDS:
        raise DocumentError(f"it is {kind} and no deck of slides: expected .pdf or .pptx; save it as one of them")
    try:
        found: Iterator[int | RawSlide] = importlib.import_module(_KINDS[kind]).slides(data, job)
        n_slides = next(found)
        assert isinstance(n_slides, int)
        send(Began(kind, n_slides))
        for slide in found:
            send(slide)
        send(Ended())
    except (DocumentError, MemoryError, BrokenPipeError):
        raise
    except ImportError as exc:
        name = (exc.name or "a library").partition(".")[0]
        raise DocumentError(
            f"reading {kind} needs {name}, which is not installed: pip install 'edgeai[documents]'"
        ) from exc
    except Exception as exc:
        reason = f"{type(exc).__name__}: {exc}"[:200]
        raise DocumentError(
            f"damaged or cut short ({reason}): expected a whole file ({kind}); fetch it again, or save it anew"
        ) from exc


def _end_with_parent(pipe: Pipe[Request]) -> None:
    """There is no second job: whatever comes, or the pipe's end, is the end."""
    with contextlib.suppress(EOFError, OSError, ValueError):
        pipe.receive()
    os._exit(0)
