"""A file is there when it is whole, and not before: errors, full disks, Ctrl-C, kill -9, two at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from edgeai.errors import QuantizeError
from quantize import Options, quantize, writer
from quantize.writer import check_room, staged, work_dir
from tests.quantize.float_files import float_file

posix = pytest.mark.skipif(os.name == "nt", reason="signals and locks of POSIX")
QUANTIZE = "import sys; from quantize import *; quantize(*sys.argv[1:3], Options(ftype=sys.argv[3], force=True))"


def start(code: str, *args: object) -> subprocess.Popen[bytes]:
    """A child process that works in the background."""
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stderr=subprocess.PIPE)


def test_a_file_takes_its_place_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "a.gguf"
    with staged(target) as file:
        file.write(b"all of it")
        file.flush()
        assert not target.exists()
    assert target.read_bytes() == b"all of it"
    assert os.listdir(target.parent) == ["a.gguf"]  # noqa: PTH208
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_nothing_is_left_when_the_block_fails(error: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    target.write_text("old")
    with pytest.raises(error), staged(target, replace=True) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.gguf"]  # noqa: PTH208


@posix
def test_a_disk_that_fills_up_is_said_in_one_line(tmp_path: Path) -> None:
    code = (
        "import resource, sys, pathlib\n"
        "from quantize.writer import staged\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "with staged(pathlib.Path(sys.argv[1])) as file:\n"
        "    while True: file.write(bytes(100_000))\n"
    )
    child = start(code, tmp_path / "a.gguf")
    _, errors = child.communicate(timeout=60)
    assert b"QuantizeError" in errors.splitlines()[-1]
    assert b"a.gguf: cannot be written (File too large): make room" in errors.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing\0", "x" * 300])
def test_places_that_cannot_be_written_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises((QuantizeError, ValueError)), staged(tmp_path / name):
        raise AssertionError
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(QuantizeError, match="cannot be written"), staged(file / "a.gguf"):
        raise AssertionError


def test_a_disk_that_is_too_small_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = float_file(tmp_path, "llama")
    monkeypatch.setattr(writer, "free_bytes", lambda _folder: 5_000_000)
    check_room(tmp_path / "a.gguf", 3_000_000)
    with pytest.raises(QuantizeError, match=r"5,548,576 bytes are needed and 5,000,000 are free"):
        check_room(tmp_path / "a.gguf", 4_500_000)
    monkeypatch.setattr(writer, "free_bytes", lambda _folder: 100_000)
    with pytest.raises(QuantizeError, match="are needed"):
        quantize(source, tmp_path / "out" / "a.gguf")
    assert not (tmp_path / "out").exists()


def test_a_target_that_comes_into_being_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    with pytest.raises(QuantizeError, match="meanwhile"), staged(target):
        target.write_text("another's")
    assert target.read_text() == "another's"


@posix
def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    with staged(target) as file:
        file.write(b"first")
        with pytest.raises(QuantizeError, match="another process"), staged(target):
            raise AssertionError
        with staged(tmp_path / "b.gguf") as other:  # which clears away what is left over, and this is not
            other.write(b"second")
    assert target.read_bytes() == b"first"


@posix
def test_links_and_pipes_of_the_staging_name_are_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("data")
    for make in (lambda path: path.symlink_to(precious), os.mkfifo):
        trap = tmp_path / ".a.gguf.quantizing"
        make(trap)
        with pytest.raises(QuantizeError, match="cannot be written"), staged(tmp_path / "a.gguf"):
            raise AssertionError
        with staged(tmp_path / "b.gguf", replace=True):
            pass
        trap.unlink(missing_ok=True)
    assert precious.read_text() == "data"


@posix
def test_a_killed_run_leaves_the_target_absent_or_whole(tmp_path: Path) -> None:
    source = float_file(tmp_path, "qwen3")
    whole = quantize(source, tmp_path / "whole.gguf", Options(ftype="Q4_K_M")).path.read_bytes()
    target, rng = tmp_path / "out" / "a.gguf", random.Random(7)
    child = start(QUANTIZE, source, target, "Q4_K_M")
    started = time.perf_counter()
    child.communicate(timeout=60)
    usual = time.perf_counter() - started
    for _ in range(12):
        target.unlink(missing_ok=True)
        child = start(QUANTIZE, source, target, "Q4_K_M")
        time.sleep(usual * rng.uniform(0.3, 1.1))
        child.kill()
        child.communicate(timeout=60)
        if target.exists():
            assert target.read_bytes() == whole
    quantize(source, target.with_name("b.gguf"), Options(ftype="Q4_K_M"))
    assert {path.name for path in target.parent.iterdir()} <= {"a.gguf", "b.gguf"}


@posix
@pytest.mark.parametrize(("sent", "left"), [(signal.SIGINT, set()), (signal.SIGKILL, {".a.gguf.quantizing"})])
def test_signals_amid_writing(sent: signal.Signals, left: set[str], tmp_path: Path) -> None:
    code = (
        "import sys, time; from quantize import *\n"
        "def wait(step): open(sys.argv[3], 'w').close(); time.sleep(60)\n"
        "quantize(*sys.argv[1:3], Options(), wait)\n"
    )
    source, out, writing = float_file(tmp_path, "llama"), tmp_path / "out", tmp_path / "writing"
    child = start(code, source, out / "a.gguf", writing)
    while not writing.exists():
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(sent)
    child.communicate(timeout=60)
    assert {path.name for path in out.iterdir()} == left
    quantize(source, out / "b.gguf")
    assert {path.name for path in out.iterdir()} == {"b.gguf"}


@posix
def test_work_that_goes_on_is_not_taken_for_left_over(tmp_path: Path) -> None:
    with work_dir(tmp_path) as first:
        (first / "file").write_text("")
        with work_dir(tmp_path) as second:
            assert first != second
        assert (first / "file").exists()
    assert not list(tmp_path.iterdir())


@posix
def test_work_that_another_process_took_for_left_over_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = writer._lock, list[Path]()

    def late(file: BinaryIO) -> bool | None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            writer._remove_left_over_dirs(tmp_path)  # what the other process does
        return lock(file)

    monkeypatch.setattr(writer, "_lock", late)
    with work_dir(tmp_path) as work:
        assert work.is_dir()
        assert [work.parent] == list(tmp_path.iterdir()) != taken
    assert not list(tmp_path.iterdir())


@posix
def test_left_overs_are_cleared_before_room_is_looked_for(tmp_path: Path) -> None:
    for left in (tmp_path / ".quantize-1" / "lock", tmp_path / ".other.gguf.quantizing"):
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"x")
    check_room(tmp_path / "a.gguf", 1)
    assert not list(tmp_path.iterdir())


@posix
def test_traps_where_left_overs_would_be_are_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "work").mkdir(parents=True)
    (precious / "lock").write_text("")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".quantize-1").symlink_to(precious)
    locks = [folder / f".quantize-{kind}" / "lock" for kind in ("link", "pipe", "folder")]
    for lock in locks:
        lock.parent.mkdir()
    locks[0].symlink_to(precious / "lock")
    os.mkfifo(locks[1])
    locks[2].mkdir()
    (folder / ".quantize-2").write_text("")
    inner = folder / ".quantize-3"
    inner.mkdir()
    (inner / "lock").write_text("")
    (inner / "work").symlink_to(precious)
    with work_dir(folder):
        pass
    assert (precious / "work").is_dir()
    assert (precious / "lock").exists()
    assert not inner.exists()
