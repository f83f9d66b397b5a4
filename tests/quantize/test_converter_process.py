"""The converter's process: what it can reach, that it never outlives us, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from edgeai.errors import CheckpointError, QuantizeError
from edgeai.sandbox import landlock
from edgeai.sandbox.linux import libc
from quantize.converter import float_gguf
from quantize.converter.process import clean_environment, run
from tests.quantize.converter_stand_ins import NAME, checkout, odd_checkpoint, python_with_torch

posix = pytest.mark.skipif(os.name == "nt", reason="signals and locks of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="what Linux's kernel does")
confined = pytest.mark.skipif(sys.platform != "linux" or landlock.abi(libc()) < 4, reason="needs Landlock")

HANG = """
import os, time
print("pid", os.getpid(), flush=True)
open("model.gguf", "wb").write(b"GGUF half")
time.sleep(600)
"""
CALL = (
    "import signal, sys; from pathlib import Path; from quantize.converter import float_gguf\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job of a shell ignores it
    "float_gguf(*map(Path, sys.argv[1:4]), python=Path(sys.argv[4]), on_line=lambda line: print(line, flush=True))"
)
_PATIENCE_S = 60


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return python_with_torch(tmp_path_factory.mktemp("python") / "venv")


def await_end(pid: int) -> None:
    """Until a process is gone, or waits as a zombie for somebody to ask after it."""
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(_PATIENCE_S * 100):
        try:
            if condition():
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def hanging_call(tmp_path: Path, python: Path) -> tuple[subprocess.Popen[str], int]:
    """A process of ours that waits for a converter which hangs, and that one's number."""
    source, out = odd_checkpoint(tmp_path / NAME), tmp_path / "out" / "a.gguf"
    arguments = map(str, (source, checkout(tmp_path / "llama.cpp", HANG), out, python))
    process = subprocess.Popen(
        [sys.executable, "-c", CALL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, int(process.stdout.readline().removeprefix("pid "))


def test_an_error_of_the_caller_ends_the_converter(tmp_path: Path, python: Path) -> None:
    pids: list[int] = []

    def fail(line: str) -> None:
        pids.append(int(line.removeprefix("pid ")))
        raise RuntimeError

    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        float_gguf(
            odd_checkpoint(tmp_path / NAME),
            checkout(tmp_path / "llama.cpp", HANG),
            out / "a.gguf",
            python=python,
            on_line=fail,
        )
    assert not psutil.pid_exists(pids[0])
    assert not list(out.iterdir())


@posix
def test_ctrl_c_ends_the_converter(tmp_path: Path, python: Path) -> None:
    process, pid = hanging_call(tmp_path, python)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=_PATIENCE_S)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert not psutil.pid_exists(pid)
    assert not list((tmp_path / "out").iterdir())


@linux
def test_the_converter_does_not_outlive_a_killed_caller(tmp_path: Path, python: Path) -> None:
    process, pid = hanging_call(tmp_path, python)
    process.kill()
    process.communicate(timeout=_PATIENCE_S)
    await_end(pid)
    (left,) = (tmp_path / "out").iterdir()
    assert left.name.startswith(".quantize-")
    with pytest.raises(QuantizeError):  # the next call clears it away, whatever becomes of it
        float_gguf(tmp_path / NAME, checkout(tmp_path / "other", "1 / 0"), tmp_path / "out" / "b.gguf", python=python)
    assert not list((tmp_path / "out").iterdir())


@confined
def test_the_converter_reads_its_own_only_and_has_no_network(tmp_path: Path, python: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    code = f"""
        import json, os, socket, subprocess, sys
        from pathlib import Path
        folder = Path(sys.argv[-1])
        def kind(attempt):
            try:
                attempt()
            except OSError as exc:
                return type(exc).__name__
            return "done"
        print(json.dumps([kind(attempt) for attempt in (
            lambda: Path({str(secret)!r}).read_text(),
            lambda: os.listdir({str(tmp_path)!r}),
            lambda: Path("/etc/passwd").read_text(),
            lambda: Path({str(tmp_path / "new")!r}).write_text(""),
            lambda: (Path({str(tmp_path / NAME)!r}) / "config.json").write_text(""),
            lambda: (folder / "model.safetensors").open("rb+"),
            lambda: socket.socket(),
            lambda: socket.socket(socket.AF_UNIX),
            lambda: subprocess.run(["/bin/true"]),
            os.fork,
            lambda: os.kill(os.getppid(), 0),
            lambda: (folder / "model.safetensors").read_bytes(),
            lambda: Path("file").write_text(""),
        )]))
    """
    lines: list[str] = []
    with pytest.raises(CheckpointError, match="wrote no file"):
        float_gguf(
            odd_checkpoint(tmp_path / NAME),
            checkout(tmp_path / "checkout" / "llama.cpp", code),
            tmp_path / "a.gguf",
            python=python,
            on_line=lines.append,
        )
    assert json.loads("".join(lines)) == ["PermissionError"] * 11 + ["done"] * 2


@posix
def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)"
    )
    ended = run([sys.executable, "-c", code], cwd=tmp_path, environment=clean_environment(tmp_path), on_line=None)
    assert ended.code == 0
    await_end(int(ended.lines[0]))


def test_lines_written_at_the_very_end_are_not_lost(tmp_path: Path) -> None:
    code = "import sys; print('a\\n' * 5000, end=''); print('the end', end='')"
    lines: list[str] = []
    ended = run(
        [sys.executable, "-c", code], cwd=tmp_path, environment=clean_environment(tmp_path), on_line=lines.append
    )
    assert lines == ["a"] * 5000 + ["the end"]
    assert ended.lines == tuple(lines[-200:])


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    with pytest.raises(QuantizeError, match=r"nothing: cannot be started"):
        run([str(path)], cwd=tmp_path, environment={}, on_line=None)
