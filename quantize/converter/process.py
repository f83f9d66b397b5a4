"""A child process that is listened to line by line and never outlives the call."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from edgeai.errors import QuantizeError
from edgeai.safe_text import one_line

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "USER", "LOGNAME", "LD_LIBRARY_PATH")
_KEPT_ON_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "USERNAME", "APPDATA", "LOCALAPPDATA", "PATHEXT")
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_BREAK = re.compile(rb"[\r\n]+")  # bars of progress go back to the line's beginning
_LINE_BYTES = 2000
_N_KEPT_LINES = 200
_N_WAITING_LINES = 1000
_POLL_S = 0.1
_JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, or the negative number of the signal that ended it.
        lines: the last lines that it wrote, harmless and not empty.
    """

    code: int
    lines: tuple[str, ...]

    @property
    def signal_name(self) -> str | None:
        """The signal that ended it; None where it ended by itself."""
        if self.code >= 0:
            return None
        with contextlib.suppress(ValueError):
            return signal.Signals(-self.code).name
        return f"signal {-self.code}"


def clean_environment(temporary: Path) -> dict[str, str]:
    """What a Python needs, no secrets, no network.

    Args:
        temporary: a folder for its temporary files, and for what transformers would keep in the user's home.
    """
    kept = {name: os.environ[name] for name in (*_KEPT_VARIABLES, *_KEPT_ON_WINDOWS) if name in os.environ}
    places = dict.fromkeys(("TMPDIR", "TMP", "TEMP", "HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME"), str(temporary))
    return {**kept, **_OFFLINE, **places}


def run(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], on_line: Callable[[str], None] | None
) -> Ended:
    """Run a program to its end. However this function ends, the program and those that it started have ended too.

    On POSIX they are one session, which is killed as a whole; a program that leaves it is not followed.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        environment: all its variables.
        on_line: told of every line of its output, in this thread.
    Raises:
        QuantizeError: it cannot be started.
    """
    last: collections.deque[str] = collections.deque(maxlen=_N_KEPT_LINES)

    def tell(line: str) -> None:
        last.append(line)
        if on_line is not None:
            on_line(line)

    process = _start(command, cwd, environment)
    lines: queue.Queue[str] = queue.Queue(_N_WAITING_LINES)
    stop = threading.Event()
    reader = threading.Thread(target=_read, args=(process.stdout, lines, stop), daemon=True)
    try:
        reader.start()
        _listen(process, lines, tell)
        _kill(process)  # what it has started may still hold the pipe
        _finish(reader, lines, tell)
    finally:
        stop.set()
        _kill(process)
        process.wait()
        reader.join(_JOIN_S)
    return Ended(process.returncode, tuple(last))


def _start(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start it. A child that asks to die with its parent dies with this thread, which waits for its end."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment,
            start_new_session=os.name != "nt",  # Ctrl-C is ours: we end it
        )
    except OSError as exc:
        raise QuantizeError(f"{command[0]}: cannot be started ({exc.strerror or exc}): check the path") from exc


def _listen(process: subprocess.Popen[bytes], lines: queue.Queue[str], tell: Callable[[str], None]) -> None:
    while True:
        try:
            tell(lines.get(timeout=_POLL_S))
        except queue.Empty:
            if _has_ended(process):
                return


def _finish(reader: threading.Thread, lines: queue.Queue[str], tell: Callable[[str], None]) -> None:
    """Hand on what was still in the pipe: it may be more than waits in the queue."""
    for _ in range(int(_JOIN_S / _POLL_S)):
        reader.join(_POLL_S)
        while not lines.empty():
            tell(lines.get_nowait())
        if not reader.is_alive() and lines.empty():
            return


def _read(stream: IO[bytes], lines: queue.Queue[str], stop: threading.Event) -> None:
    """Hand on lines until the stream ends. A line without end comes in pieces."""
    rest = b""
    with stream:
        while data := os.read(stream.fileno(), _LINE_BYTES):
            *whole, rest = _BREAK.split(rest + data)
            if len(rest) > _LINE_BYTES:
                whole, rest = [*whole, rest], b""
            _put(whole, lines, stop)
    _put([rest], lines, stop)


def _put(raw_lines: Sequence[bytes], lines: queue.Queue[str], stop: threading.Event) -> None:
    for raw in raw_lines:
        text = one_line(raw.decode("utf-8", "replace")).strip()
        while text and not stop.is_set():
            with contextlib.suppress(queue.Full):
                lines.put(text, timeout=_POLL_S)
                break


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended; it stays a zombie, so that its number, which is that of its group, is nobody else's."""
    if os.name == "nt":
        return process.poll() is not None
    try:
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: a group of zombies may not be signalled
        os.killpg(process.pid, signal.SIGKILL)
