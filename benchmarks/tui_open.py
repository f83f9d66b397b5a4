"""How fast a long conversation opens, and how fast a key is echoed, in a real (pseudo) terminal.

    python -m benchmarks.tui_open [--turns 2000] [--peer-turns 50]

The peer is what a Textual chat does by itself: one Markdown widget a message, streamed through MarkdownStream. It gets
fewer turns, since 2,000 would take it minutes; its opening time is given for one turn, too.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import model_path

_FEW_TURNS = 10
KEYS = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩЖ"  # none of them is on the screen already


@dataclass(frozen=True, slots=True)
class Figures:
    """One program's.

    Attributes:
        open_ms: from the wish to the conversation on the screen.
        idle_ms: the echo of each key while nothing else happens.
        busy_ms: the same while an answer of 100 tokens a second is shown.
    """

    open_ms: float
    idle_ms: list[float]
    busy_ms: list[float]


class Terminal:
    """A program in a pseudo terminal of 120 by 40."""

    def __init__(self, arguments: list[str], home: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(EDGEAI_HOME=home, TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(sys.executable, [sys.executable, *arguments])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def read_for(self, seconds: float, until: bytes | None = None) -> bool:
        """Read what is printed; True as soon as `until` is in it."""
        end, seen = time.perf_counter() + seconds, b""
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                seen = seen[-64:] + os.read(self._fd, 1 << 16)
                if until is not None and until in seen:
                    return True
        return False

    def echo_ms(self, key: str) -> float:
        """From a key to its letter on the screen."""
        started = time.perf_counter()
        os.write(self._fd, key.encode())
        if not self.read_for(5.0, key.encode()):
            raise SystemExit(f"the key {key} was not echoed within 5 s")
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


def measure(which: str, n_turns: int) -> Figures:
    """Run one program."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        terminal = Terminal(["-m", "benchmarks.tui_apps", which, str(n_turns), str(result), str(model_path())], folder)
        try:
            while not result.exists():
                terminal.read_for(0.2)
            open_ms = json.loads(result.read_text())["open_ms"]
            terminal.read_for(0.5)
            idle = [terminal.echo_ms(key) for key in KEYS[:10]]
            terminal.read_for(5.0)  # the answer has begun
            busy = []
            for key in KEYS[10:]:
                busy.append(terminal.echo_ms(key))
                terminal.read_for(0.137)  # at no fixed place in the rhythm of the tokens
        finally:
            terminal.close()
    return Figures(open_ms, idle, busy)


def report(name: str, n_turns: int, figures: Figures) -> None:
    print(f"{name}: {n_turns:,} turns open in {figures.open_ms:,.0f} ms ({figures.open_ms / n_turns:.2f} ms a turn)")
    for label, values in (("idle", figures.idle_ms), ("while it writes", figures.busy_ms)):
        print(f"  key echo {label}: median {statistics.median(values):.1f} ms, worst {max(values):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=2000)
    parser.add_argument("--peer-turns", type=int, default=50)
    arguments = parser.parse_args()
    ours = measure("ours", arguments.turns)
    report("edgeai chat", arguments.turns, ours)
    for isolation in ("process", "none"):
        figures = measure(isolation, _FEW_TURNS)
        report(f'edgeai chat on the default model, isolation="{isolation}"', _FEW_TURNS, figures)
    peer = measure("peer", arguments.peer_turns)
    report("a Markdown widget a message", arguments.peer_turns, peer)
    ratio = (peer.open_ms / arguments.peer_turns) / (ours.open_ms / arguments.turns)
    print(
        f"opening a turn: {ratio:.0f} × faster; key echo while it writes: "
        f"{statistics.median(peer.busy_ms) / statistics.median(ours.busy_ms):.1f} × faster"
    )


if __name__ == "__main__":
    main()
