"""The process that decodes pictures: it enters the sandbox, then answers one picture after the other."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import threading

from edgeai.engine.parent import parents_pipe
from edgeai.engine.wire import Pipe
from edgeai.errors import PictureError
from edgeai.sandbox import enter
from edgeai.vision.decode import decode
from edgeai.vision.wire import Bytes, Enter, Job, Refused, Reply, Request


def main(parent_pid: int) -> None:
    """Serve until the other end is closed; `parent_pid` is its process."""
    pipe: Pipe[Request] = parents_pipe(parent_pid, Request)
    with contextlib.suppress(EOFError, BrokenPipeError):
        first = pipe.receive()
        assert isinstance(first, Enter)
        enter(first.policy)
        received: queue.SimpleQueue[Request] = queue.SimpleQueue()
        threading.Thread(target=_receive, args=(pipe, received), daemon=True).start()
        while True:
            pipe.send(_answer(_bytes(received)))
    os._exit(0)  # native libraries would take their time


def _answer(data: bytes) -> Reply:
    try:
        return decode(data)
    except PictureError as exc:
        return Refused(str(exc))
    except MemoryError:
        return Refused(
            "decoding it takes more memory than a picture may: expected one of an ordinary size; make it smaller "
            "first, or save it in another format"
        )


def _bytes(received: queue.SimpleQueue[Request]) -> bytes:
    job = received.get()
    assert isinstance(job, Job)
    buffer = io.BytesIO()
    while buffer.tell() < job.n_bytes:
        message = received.get()
        assert isinstance(message, Bytes)
        buffer.write(message.data)
    return buffer.getvalue()  # the buffer itself, not a copy


def _receive(pipe: Pipe[Request], received: queue.SimpleQueue[Request]) -> None:
    """Take what comes, also while a decoder is at work: the pipe's end is the end."""
    with contextlib.suppress(EOFError, OSError, ValueError):
        while True:
            received.put(pipe.receive())
    os._exit(0)
