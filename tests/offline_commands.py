"""Every command but `models pull`, run for real under a wrapper (another network namespace, a tracer)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from edgeai.documents.library import Library
from edgeai.documents.library_place import library_dir
from edgeai.history import History
from tests.documents.library_files import document
from tests.terminal_program import TerminalProgram

EDGEAI = str(Path(sys.executable).with_name("edgeai"))
COMMANDS: dict[str, tuple[list[str], str]] = {
    "ask": (["ask", "-m", "MODEL", "--max-tokens", "5", "--stats", "Hello"], ""),
    "chat --plain": (["chat", "--plain", "-m", "MODEL", "--max-tokens", "8"], "Hello\nAnd again\n"),
    "ask --image": (["ask", "-m", "MODEL", "--max-tokens", "5", "--image", "PICTURE", "What is written?"], ""),
    "ocr": (["ocr", "PICTURE", "--json"], ""),
    "summarize": (["summarize", "-m", "MODEL", "--max-tokens", "5", "Makefile"], ""),
    "report": (["report", "-m", "MODEL", "--from", "Makefile", "--outline", "the tests", "--dry-run", "--json"], ""),
    "classify": (["classify", "-m", "MODEL", "--labels", "good,bad", "-"], "It works well\nIt broke at once\n"),
    "models": (["models", "--json"], ""),
    "bench": (["bench", "-m", "MODEL", "--lengths", "16", "--decode", "2", "--repeat", "1", "--threads", "1"], ""),
    "history list": (["history", "list", "--json"], ""),
    "history show": (["history", "show", "ID"], ""),
    "history search": (["history", "search", "Hello"], ""),
    "history export": (["history", "export", "ID"], ""),
    "docs list": (["docs", "list"], ""),
    "docs search": (["docs", "search", "Hello"], ""),
    "docs stats": (["docs", "stats", "--json"], ""),
    "doctor": (["doctor", "--json"], ""),
}
"""Their arguments and what is piped in; MODEL, ID and PICTURE stand for a model's path, a stored conversation's id and
a picture with words."""


def run_command(name: str, wrapper: Sequence[str], model: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of COMMANDS; those of the history find a conversation, those of documents a library."""
    arguments, stdin = COMMANDS[name]
    if arguments[0] == "docs":
        with Library.open(library_dir()) as library:
            library.add(document("greeting", "Hello to you"))
    conversation_id = _stored_conversation() if arguments[0] == "history" else ""
    with tempfile.TemporaryDirectory() as folder:
        picture = _picture(Path(folder)) if "PICTURE" in arguments else ""
        values = {"MODEL": str(model), "ID": conversation_id, "PICTURE": picture}
        words = [values.get(word, word) for word in arguments]
        return subprocess.run([*wrapper, EDGEAI, *words], input=stdin, capture_output=True, text=True, timeout=120)


def _picture(folder: Path) -> str:
    image = Image.new("RGB", (400, 80), "white")
    ImageDraw.Draw(image).text((20, 20), "Press the green button", fill="black", font=ImageFont.load_default(28))
    image.save(folder / "words.png")
    return str(folder / "words.png")


def _stored_conversation() -> str:
    """The id of one that is there, or of one that is made."""
    with History() as history:
        for conversation in history.conversations(1):
            return conversation.id
        conversation = history.create(model="m")
        _, answer = history.begin_turn(conversation.id, None, "Hello")
        history.finish_turn(answer, "Hello to you")
        return conversation.id


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
