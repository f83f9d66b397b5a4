"""A child process's tie to its parent: what `edgeai.engine.process.ChildProcess` expects of the code that it runs."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeai.engine.wire import Failed, Pipe
from edgeai.errors import EdgeAIError
from edgeai.sandbox import die_with_parent


def parents_pipe(parent_pid: int, incoming: object) -> Pipe[Any]:
    """Tie this process's life to its parent's, make all its output log lines, and take the pipe for messages.

    Args:
        parent_pid: the parent's number.
        incoming: the type of the parent's messages.
    """
    die_with_parent(parent_pid)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    replies = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what native code prints is log, not messages
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    return Pipe(incoming, sys.stdin.buffer, os.fdopen(replies, "wb"))


@contextmanager
def failures_told(pipe: Pipe[Any]) -> Iterator[None]:
    """Errors become replies; only the end of the pipe is an end."""
    try:
        yield
    except (EOFError, BrokenPipeError):
        raise
    except EdgeAIError as exc:
        pipe.send(Failed(type(exc).__name__, str(exc)))
    except Exception as exc:  # noqa: BLE001 - the parent must hear of it, whatever it is
        pipe.send(Failed("GenerationError", f"the engine failed: {type(exc).__name__}: {exc}"))
