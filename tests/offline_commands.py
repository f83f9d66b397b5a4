"""Every command but `models pull`, run for real under a wrapper (another network namespace, a tracer)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgeai.history import History
from tests.terminal_program import TerminalProgram

EDGEAI = str(Path(sys.executable).with_name("edgeai"))
COMMANDS: dict[str, tuple[list[str], str]] = {
    "ask": (["ask", "-m", "MODEL", "--max-tokens", "5", "--stats", "Hello"], ""),
    "chat --plain": (["chat", "--plain", "-m", "MODEL", "--max-tokens", "8"], "Hello\nAnd again\n"),
    "models": (["models", "--json"], ""),
    "bench": (["bench", "-m", "MODEL", "--lengths", "16", "--decode", "2", "--repeat", "1", "--threads", "1"], ""),
    "history": (["history", "list", "--json"], ""),
    "history search": (["history", "search", "Hello"], ""),
    "doctor": (["doctor", "--json"], ""),
}
"""Their arguments and what is piped in."""


def run_command(name: str, wrapper: Sequence[str], model: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of COMMANDS."""
    arguments, stdin = COMMANDS[name]
    words = [str(model) if word == "MODEL" else word for word in arguments]
    return subprocess.run([*wrapper, EDGEAI, *words], input=stdin, capture_output=True, text=True, timeout=120)


def run_window(wrapper: Sequence[str], model: Path, home: Path) -> int:
    """Ask one question in the chat's window and leave; the exit code."""
    command = [*wrapper, EDGEAI, "chat", "-m", str(model), "--max-tokens", "8"]
    window = TerminalProgram(command, {**os.environ, "EDGEAI_HOME": str(home)})

    def answered() -> bool:
        if not (home / "history.db").exists():
            return False
        with History(home / "history.db") as history:
            return any(
                message.role == "assistant" and message.status == "complete"
                for conversation in history.conversations()
                for message in history.path(conversation.id)
            )

    window.until(lambda: b"ready" in window.output)
    window.type("Hello\r")
    window.until(answered)
    window.type("\x11")
    return window.end()
