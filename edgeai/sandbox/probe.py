"""What the sandbox really holds here: a fresh process enters it and tries what must be refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from edgeai.sandbox import Policy, Report, enter

_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.sandbox.probe import try_out; try_out(sys.argv[1])"
_TIMEOUT_S = 20
_MEMORY_BYTES = 2**30
_STARTED = "started"


def probe() -> Report:
    """Enter a sandbox in a process of its own and see what holds.

    Returns:
        What is applied; among `missing` also what could be done all the same.

    Raises:
        OSError: no process can be started, or it failed.
    """
    if getattr(sys, "frozen", False) or not sys.executable:
        raise OSError("this program has no Python of its own to start a process with")
    root = str(Path(__file__).parents[2])
    paths = [root, *(path for path in sys.path if Path(path).is_absolute())]
    folders = json.dumps([str(Path.home()), tempfile.gettempdir()])
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _START, folders, *paths]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False, env=_environment()
        )
        found, *more = done.stdout.decode().splitlines()
        applied, missing, landlock_abi, n_system_calls = json.loads(found)
    except (subprocess.SubprocessError, ValueError) as exc:
        raise OSError(f"the sandbox cannot be tried: {exc}") from exc
    if _STARTED in more:
        missing.append("starting a program is not refused")
    return Report(tuple(applied), tuple(missing), landlock_abi, n_system_calls)


def try_out(folders: str) -> None:
    """In the new process: enter, try everything, print the findings as JSON, then try to become another program."""
    report = enter(Policy(memory_bytes=_MEMORY_BYTES))
    missing = [
        *report.missing,
        *(f"{name} is not refused" for name, attempt in _attempts(folders) if not _fails(attempt)),
    ]
    print(json.dumps([report.applied, missing, report.landlock_abi, report.n_system_calls]), flush=True)
    code = f"print({_STARTED!r})"
    _fails(lambda: os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", code]))


def _attempts(folders: str) -> list[tuple[str, Callable[[], object]]]:
    if sys.platform != "linux":
        return []  # nothing was promised that could be tried
    import _socket
    import mmap

    writes = [(f"writing in {folder}", lambda folder=folder: _write(Path(folder))) for folder in json.loads(folders)]
    return [
        ("reading /etc/passwd", lambda: Path("/etc/passwd").read_bytes()),
        *writes,
        ("opening a socket", lambda: _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)),
        ("opening a local socket", lambda: _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)),
        ("signalling another process", lambda: os.kill(os.getppid(), 0)),
        ("starting a process", _fork),
        (f"taking {4 * _MEMORY_BYTES / 2**30:.0f} GiB of memory", lambda: mmap.mmap(-1, 4 * _MEMORY_BYTES)),
    ]


def _fails(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return True
    return False


def _write(folder: Path) -> None:
    path = folder / f".edgeai-probe-{os.getpid()}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    path.unlink()


def _fork() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _environment() -> dict[str, str]:
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ}
