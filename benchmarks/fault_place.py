"""Where the campaign's trials work, and what they have in common: victims, their engines, and what must be kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from edgeai import EdgeAIError
from edgeai.history import History
from tests.tiny import KINDS, Kind, tiny_model

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0


class ViolationError(Exception):
    """What the campaign looks for: a finished turn lost, an orphan, a hang, an error that is none of ours."""


class Place:
    """The folder that one kind of trial works in: the user's folder, the home, temporary files.

    Attributes:
        home: EDGEAI_HOME.
        sound: a small model of each kind.
        model: one of them.
        crafted: files for published weaknesses, once they are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "edgeai"
        self.work = folder / "work"
        for path in (self.home, self.work, folder / "user", folder / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        self.crafted: list[Path] = []
        self.sound: dict[Kind, Path] = {kind: tiny_model(folder / f"sound-{kind}.gguf", kind) for kind in KINDS}
        self.model = self.sound["llama"]

    @property
    def environment(self) -> dict[str, str]:
        """Of a victim: nothing of it is the real user's."""
        folders = {"EDGEAI_HOME": self.home, "HOME": self.folder / "user", "TMPDIR": self.folder / "tmp"}
        return {**os.environ, **{name: str(path) for name, path in folders.items()}, "PYTHONDONTWRITEBYTECODE": "1"}

    def strangers(self) -> list[Path]:
        """Files that appeared where none of ours belongs."""
        return [path for name in ("user", "tmp") for path in (self.folder / name).rglob("*")]


def engines_of(pid: int) -> list[int]:
    """The engine processes that a process started."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child.pid for child in children if _is_engine(child.pid)]


def _is_engine(pid: int) -> bool:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or "edgeai.engine.child" in " ".join(process.cmdline())
    return False


def await_end(pids: Sequence[int], timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while alive := [pid for pid in pids if _is_engine(pid)]:
        if time.monotonic() > end:
            raise ViolationError(f"{len(alive)} engines outlived their application")
        time.sleep(0.01)


def start_victim(place: Place, arguments: Sequence[str]) -> subprocess.Popen[str]:
    return start([sys.executable, "-m", "benchmarks.fault_victim", *arguments], place)


def start(command: Sequence[str], place: Place) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=ROOT, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(victim: subprocess.Popen[str]) -> list[str]:
    try:
        told, _ = victim.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as exc:
        victim.kill()
        victim.wait()
        raise ViolationError("the application hung") from exc
    return told.splitlines()


def check_history(place: Place, told: Sequence[str]) -> None:
    """Every turn that the victim called finished is in its history, whole."""
    with History(place.home / "history.db") as history:
        history.recover()
        for line in told:
            if line.startswith("finished"):
                message = history.message(int(line.split()[2]))
                if message.status != "complete":
                    raise ViolationError(f"a finished turn is {message.status}")
        unfinished = [
            message
            for conversation in history.conversations(3)
            for message in history.all_messages(conversation.id)
            if message.status == "generating"
        ]
    if unfinished:
        raise ViolationError("an answer is still being made, by nobody")


@contextmanager
def user_folder(place: Place) -> Iterator[None]:
    """The trials in this process have that user's folder."""
    before = os.environ.get("EDGEAI_HOME")
    os.environ["EDGEAI_HOME"] = str(place.home)
    try:
        yield
    finally:
        os.environ.pop("EDGEAI_HOME")
        if before is not None:
            os.environ["EDGEAI_HOME"] = before


def print_kept() -> None:
    """In the namespace of `fault_trials`: the messages that were kept."""
    path = Path(sys.argv[1]) / "edgeai" / "history.db"
    if path.exists():
        with suppress(EdgeAIError), History(path) as history:
            for conversation in history.conversations():
                for message in history.all_messages(conversation.id):
                    if message.status == "complete":
                        print("kept", message.id)


if __name__ == "__main__":
    print_kept()
