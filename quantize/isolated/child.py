"""The process in which models read a text: it enters the sandbox, does one job and ends."""

from __future__ import annotations

import contextlib
import os
import threading

from edgeai.backends.llama_native import bindings
from edgeai.engine.parent import parents_pipe
from edgeai.engine.wire import Failed, Pipe
from edgeai.errors import EdgeAIError
from edgeai.sandbox import enter
from quantize.isolated import tasks
from quantize.isolated.wire import Job


def main(parent_pid: int) -> None:
    """Do the job that comes first through the pipe; `parent_pid` is the process that sends it."""
    pipe: Pipe[Job] = parents_pipe(parent_pid, Job)
    with contextlib.suppress(EOFError, BrokenPipeError):
        bindings()
        job = pipe.receive()
        tasks.prepare(job)
        enter(job.policy)
        threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
        _do(job, pipe)
    os._exit(0)  # native libraries would take their time


def _do(job: Job, pipe: Pipe[Job]) -> None:
    try:
        tasks.run(job, pipe.send)
    except (EOFError, BrokenPipeError):
        raise
    except EdgeAIError as exc:
        pipe.send(Failed(type(exc).__name__, str(exc)))
    except Exception as exc:  # noqa: BLE001 - quantize must hear of it, whatever it is
        pipe.send(Failed("GenerationError", f"the evaluation failed: {type(exc).__name__}: {exc}"))


def _end_with_parent(pipe: Pipe[Job]) -> None:
    """There is no second job: whatever comes, or the pipe's end, is the end."""
    with contextlib.suppress(EOFError, OSError, ValueError):
        pipe.receive()
    os._exit(0)
