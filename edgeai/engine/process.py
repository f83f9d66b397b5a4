"""A process that runs native code for us, seen from our side: started fresh, listened to, ended, reaped."""

from __future__ import annotations

import collections
import functools
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Generic

from edgeai.engine.wire import Incoming, Pipe, Reply
from edgeai.errors import ModelError
from edgeai.lasting_thread import LastingThread
from edgeai.safe_text import one_line

_log = logging.getLogger(__name__)

_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.engine.child import main; main(int(sys.argv[1]))"
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LC_CTYPE")
_LEFT_OUT = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")  # threads cannot be pinned in the sandbox
_KEPT_PREFIXES = ("OMP_", "GOMP_", "GGML_", "LLAMA_", "CUDA_", "HIP_", "VK_")
_OURS = {
    "GGML_NO_BACKTRACE": "1",  # llama.cpp would start a debugger when it aborts
    "OPENBLAS_NUM_THREADS": "1",  # numpy would reserve memory for a thread on each core
    # Large blocks lie in huge pages, where Linux has them "madvise" as most do: ONNX Runtime wrote tokens 1.06 to 1.1 x
    # as fast (python -m benchmarks.onnx), for its weights are all read for each token
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_N_LOG_LINES = 20
_LOG_LINE_CHARS = 500
_REAP_TIMEOUT_S = 5.0
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class ChildProcess(Generic[Incoming]):
    """A child process that answers through a pipe, and a thread that reads what it logs.

    It ends with its parent: its pipes close, and on Linux the kernel kills it as well (`edgeai.sandbox`).

    Attributes:
        pipe: to send requests and receive replies.
        last_words: the last line it logged that was a warning or worse; "" without one.
    """

    def __init__(self, incoming: object, code: str) -> None:
        """Start the process.

        Args:
            incoming: the type of its messages.
            code: the Python that it runs. `sys.argv` holds our process's number, then where to import from.
        Raises:
            ModelError: no process can be started here.
        """
        self._owner = os.getpid()
        self._lines: collections.deque[str] = collections.deque(maxlen=_N_LOG_LINES)
        self.last_words = ""
        # The kernel ties a child's death to that of the thread that started it: it must be one that stays.
        self._popen = _starter().run(lambda: _start(code))
        stdin, stdout, stderr = self._popen.stdin, self._popen.stdout, self._popen.stderr
        assert stdin
        assert stdout
        assert stderr
        self.pipe: Pipe[Incoming] = Pipe(incoming, stdout, stdin)
        self._listener = threading.Thread(target=self._listen, args=(stderr,), name="edgeai-engine-log", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return int(self._popen.pid)

    @property
    def is_ours(self) -> bool:
        """Whether this process started it: after a fork the new process has no engine."""
        return self._owner == os.getpid()

    @property
    def is_alive(self) -> bool:
        """Whether it runs, and is ours."""
        return self.is_ours and self._popen.poll() is None

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.is_ours:
            self._popen.kill()

    def close(self) -> None:
        """End it, reap it, free its pipes. Not while another thread receives from it."""
        self.kill()
        if self.is_ours:
            self.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:  # what was still to be sent has nobody to go to
                pass

    def wait(self) -> tuple[str | None, int | None]:
        """Wait for its end, which has come or is about to.

        Returns:
            The name of the signal that ended it, or its exit code.
        """
        try:
            code = self._popen.wait(_REAP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            code = self._popen.wait()
        self._listener.join(_REAP_TIMEOUT_S)
        if code >= 0:
            return None, code
        try:
            return signal.Signals(-code).name, None
        except ValueError:
            return f"signal {-code}", None

    def last_lines(self) -> tuple[str, ...]:
        """What it logged last: oldest first, without control characters."""
        return tuple(self._lines)

    def _listen(self, stderr: IO[bytes]) -> None:
        """Read its log until its end, then reap it, so that no zombie waits for a session that nobody uses."""
        with stderr:
            while line := stderr.readline(_LOG_LINE_CHARS):
                text = one_line(line.decode("utf-8", "replace")).strip()
                level, _, message = text.partition(" ")
                message = message if level in _LEVELS else text
                if message:
                    self._lines.append(message)
                    if level not in ("DEBUG", "INFO"):
                        self.last_words = message
                    _log.debug("%s", message)
        self._popen.wait()


class EngineProcess(ChildProcess[Reply]):
    """The process that serves one session: `edgeai.engine.child`."""

    def __init__(self) -> None:
        super().__init__(Reply, _START)


def _start(code: str) -> subprocess.Popen[bytes]:
    if getattr(sys, "frozen", False) or not sys.executable:
        raise ModelError(
            "this program has no Python of its own to start the engine process with: open the session with "
            'isolation="none", and only with model files that you trust'
        )
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, str(os.getpid()), *_import_paths()]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(os.sep).absolute(),
            env=_environment(),
            start_new_session=True,  # Ctrl-C and the terminal's end are the session's business
        )
    except OSError as exc:
        raise ModelError(f"{sys.executable}: cannot start the engine process ({exc.strerror or exc})") from exc


@functools.cache
def _starter() -> LastingThread:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_starter.cache_clear)
    return LastingThread("edgeai-starter")


def _import_paths() -> list[str]:
    """Where the child imports from: the same places, but not the current folder."""
    root = str(Path(__file__).parents[2])
    paths = [path for path in sys.path if Path(path).is_absolute()]
    return paths if root in paths else [root, *paths]


def _environment() -> dict[str, str]:
    """What native libraries are set up by, and no secrets."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT_VARIABLES or (name.startswith(_KEPT_PREFIXES) and name not in _LEFT_OUT)
    }
    return {**kept, **_OURS}
