"""Engine processes for tests: real ones on tiny models, and impostors that send what no engine would."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgeai import Session
from edgeai.engine import process as process_module
from edgeai.engine.backend import ProcessBackend

IMPOSTOR = """
import sys
sys.path[:] = sys.argv[2:]
from edgeai.engine.wire import *
from edgeai.sandbox import Report
pipe = Pipe(Request, sys.stdin.buffer, sys.stdout.buffer)
INFO = ModelInfo("/m.gguf", "M", "llama", 512, 512, 100, chat_template="plain")
def raw(data): sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
def loaded(): pipe.receive(); pipe.send(Loaded(INFO, Report((), ())))
def tokenized(): pipe.receive(); pipe.send(Tokens([1, 2, 3]))
def asked():
    while not isinstance(pipe.receive(), Generate): pass
"""


def engine(session: Session) -> ProcessBackend:
    backend = session._backend
    assert isinstance(backend, ProcessBackend)
    return backend


def impostor(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """From now on "engines" run this code."""
    monkeypatch.setattr(process_module, "_START", IMPOSTOR + code)


def wait_for(condition: Callable[[], Any], timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Whether a process does not exist any more, not even as a zombie."""
    return not psutil.pid_exists(pid)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else 0
