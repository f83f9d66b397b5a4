"""A program in a pseudo-terminal of its own, without tmux: typed into, waited for."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence


class TerminalProgram:
    """Runs a command in a terminal of 100 by 30 whose output is read and forgotten."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**environment, "TERM": "xterm-256color"},
        )
        os.close(slave)
        self.output = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 1 << 16):
                self.output += data
        except OSError:  # the terminal's other end was closed
            pass

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, condition: Callable[[], object], timeout_s: float = 60) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert self._process.poll() is None, self.output[-2000:]
            assert time.monotonic() < end, self.output[-2000:]
            time.sleep(0.05)

    def end(self, timeout_s: float = 20) -> int:
        """Wait for the end; the exit code."""
        try:
            return self._process.wait(timeout_s)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._master)
