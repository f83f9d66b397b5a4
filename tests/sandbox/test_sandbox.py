"""What computing needs works inside; files, memory and privileges have their bounds; nothing survives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeai.sandbox import Policy
from tests.sandbox.inside import ROOT, linux_only, needs_landlock, run_inside, value_inside
from tests.tiny import tiny_model

pytestmark = linux_only

needs_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root only")


@needs_landlock(1)
def test_only_what_the_policy_names_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    model, sibling = folder / "model.bin", folder / "other.bin"
    for file in (model, sibling, tmp_path / "secret"):
        file.write_text("content")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "own").symlink_to(model)
    policy = Policy(readable=(str(model), str(folder / "missing"), "\0", ""))
    assert value_inside(f"open({str(model)!r}).read()", policy) == "content"
    assert value_inside(f"open({str(folder / 'own')!r}).read()", policy) == "content"
    paths = [
        str(path) for path in (sibling, folder, tmp_path / "secret", "/etc/passwd", "/proc/1/environ", Path.home())
    ]
    assert value_inside(f"[refused(open, p) and refused(os.listdir, p) for p in {paths!r}]", policy) == [True] * 6
    whole = Policy(readable=(str(folder),))
    assert value_inside(f"open({str(sibling)!r}).read()", whole) == "content"
    assert value_inside(f"refused(open, {str(folder / 'link')!r})", whole), "a link out of the folder"
    assert value_inside(f"refused(open, {str(folder / '..' / 'secret')!r})", whole)
    assert value_inside(f"refused(open, {str(model)!r}, 'a')", whole)


@needs_landlock(2)
def test_only_the_writable_folder_is_written_in(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    state.mkdir()
    other.mkdir()
    (other / "theirs").write_text("theirs")
    code = f"""
path = {str(state / "a.bin")!r}
os.mkdir({str(state / "sub")!r})
part = {str(state / "sub" / "part")!r}
with open(part, "wb") as file:
    file.write(b"x" * 1000); file.truncate(500); file.flush(); os.fsync(file.fileno())
os.replace(part, path); os.rmdir({str(state / "sub")!r})
assert refused(open, {str(other / "a")!r}, "w")
assert refused(open, {str(other / "theirs")!r}, "w")
assert refused(os.remove, {str(other / "theirs")!r})
assert refused(os.truncate, {str(other / "theirs")!r}, 0)
assert refused(os.rename, path, {str(other / "a")!r})
assert refused(os.replace, {str(other / "theirs")!r}, path)
assert refused(os.symlink, "/etc/passwd", {str(state / "link")!r})
assert refused(os.link, path, {str(state / "hard")!r})
assert refused(os.mkfifo, {str(state / "fifo")!r})
assert refused(os.chmod, {str(other / "theirs")!r}, 0)
with open(path, "rb") as file:
    assert len(file.read()) == 500
os.remove(path)
"""
    done = run_inside(code, Policy(writable=(str(state),), file_bytes=1 << 20))
    assert done.returncode == 0, done.stderr
    assert not list(state.iterdir())
    assert [path.read_text() for path in other.iterdir()] == ["theirs"]


def test_without_landlock_nothing_is_written_either(tmp_path: Path) -> None:
    file = tmp_path / "theirs"
    file.write_text("theirs")
    before = """
from edgeai.sandbox import landlock
from edgeai.sandbox.policy import Report
landlock.restrict = lambda libc, policy: Report()
"""
    attempts = [
        f"open({str(file)!r}).read() == 'theirs'",
        *(f"refused(open, {str(file)!r}, {mode!r})" for mode in ("w", "a", "r+")),
        f"refused(open, {str(tmp_path / 'new')!r}, 'x')",
        f"refused(os.remove, {str(file)!r})",
        f"refused(os.rename, {str(file)!r}, {str(tmp_path / 'new')!r})",
        f"refused(os.truncate, {str(file)!r}, 0)",
    ]
    policy = Policy(file_bytes=1 << 20)
    assert value_inside(f"[{', '.join(attempts)}]", policy, before) == [True] * len(attempts)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["theirs"]


def test_a_file_cannot_grow_beyond_its_limit(tmp_path: Path) -> None:
    code = f"""
with open({str(tmp_path / "big")!r}, "wb", buffering=0) as file:
    assert file.write(b"x" * 5000) == 4096
    assert refused(file.write, b"x")
"""
    done = run_inside(code, Policy(writable=(str(tmp_path),), file_bytes=4096))
    assert done.returncode == 0, done.stderr


def test_memory_has_a_limit() -> None:
    expression = "[len(bytearray(100 << 20)), refused(bytearray, 400 << 20)]"
    assert value_inside(expression, Policy(memory_bytes=300 << 20)) == [100 << 20, True]
    assert value_inside("len(bytearray(400 << 20))", Policy()) == 400 << 20


def test_open_files_have_a_limit() -> None:
    code = (
        "files = []\nwhile not refused(lambda: files.append(os.open('/dev/null', os.O_RDONLY))): assert len(files) < 99"
    )
    done = run_inside(code + "\nprint(len(files))", Policy(open_files=32))
    assert 10 < int(done.stdout) < 32, done.stderr


def test_threads_clocks_and_late_imports_work() -> None:
    code = """
import time, random, subprocess, tempfile, hashlib, selectors, asyncio
results = []
threads = [threading.Thread(target=lambda: results.append(time.perf_counter())) for _ in range(8)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
assert len(results) == 8
import numpy, llguidance, psutil
assert (numpy.ones((300, 300)) @ numpy.ones((300, 300)))[0, 0] == 300
assert sum(core.idle for core in psutil.cpu_times(percpu=True)) > 0
assert psutil.Process().memory_info().rss and psutil.Process().cpu_times().user >= 0
assert os.urandom(4) and os.cpu_count() and os.sched_getaffinity(0)
assert open("/proc/self/status").read() and open("/proc/self/maps").read() and os.listdir("/proc/self/fd")
assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 5)() == 5
open("/dev/null", "rb").read()
"""
    done = run_inside(code, Policy(memory_bytes=4 << 30))
    assert done.returncode == 0, done.stderr


def test_processor_clocks_work_for_a_process_without_privileges() -> None:
    """PR_SET_DUMPABLE gives the files in /proc/self to root."""
    before = "import psutil, edgeai.sandbox.linux; os.geteuid() or os.setuid(65534)"
    expression = """[psutil.cpu_times(percpu=True)[0].idle > 0, len(open("/proc/self/stat").read()) > 9,
        refused(socket.socket), refused(open, "/etc/passwd"), report.missing]"""
    assert value_inside(expression, Policy(), before) == [True, True, True, True, []]


@needs_root
def test_roots_privileges_are_given_up() -> None:
    lines = value_inside("open('/proc/self/status').read().splitlines()")
    held = {line.split(":")[0]: int(line.split()[1], 16) for line in lines if line.startswith(("CapEff", "CapPrm"))}
    assert set(held) == {"CapEff", "CapPrm"}
    assert all(value & ~(1 << 1 | 1 << 2 | 1 << 14) == 0 for value in held.values())


def test_it_is_the_first_to_be_ended_when_memory_runs_out() -> None:
    assert int(value_inside("open('/proc/self/oom_score_adj').read()")) >= 500


COMPUTE = """
from pathlib import Path
from edgeai.backends.base import GenerateRequest
from edgeai.options import LoadOptions, SamplingOptions
from edgeai.structured import OutputFormat
backend = LlamaBackend(Path({path!r}), LoadOptions(n_threads=2), n_ctx=256, max_threads=2)
tokens = backend.tokenize("Hello")
plain = list(backend.generate(GenerateRequest(tokens, SamplingOptions(temperature=0, max_tokens=8))))
schema = {{"type": "object", "properties": {{"a": {{"type": "integer"}}}}, "required": ["a"]}}
grammar = OutputFormat(schema).grammar
shaped = list(backend.generate(GenerateRequest(tokens, SamplingOptions(max_tokens=60, seed=1), grammar=grammar)))
n_threads = len(os.listdir("/proc/self/task"))
print(n_threads, len(plain[-1].tokens), "".join(getattr(event, "text", "") for event in shaped)[:1])
"""


@pytest.mark.parametrize("case", ["strict", "lenient"])
def test_llama_cpp_computes_inside(case: str, tmp_path: Path) -> None:
    path = str(tiny_model(tmp_path / "model.gguf"))
    before = (
        "from edgeai.backends.llama import LlamaBackend\nfrom edgeai.backends.llama_native import bindings; bindings()"
    )
    policy = Policy(readable=None) if case == "lenient" else Policy(readable=(path,), memory_bytes=2 << 30)
    done = run_inside(COMPUTE.format(path=path), policy, before)
    assert done.returncode == 0, done.stderr
    n_threads, n_tokens, start = done.stdout.split()
    assert int(n_threads) >= 3, "Python's, the engine's, OpenMP's"
    assert (n_tokens, start) == ("8", "{")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGABRT, "os.abort()"),
        (signal.SIGSEGV, "ctypes.string_at(0)"),
        (signal.SIGABRT, "thread = threading.Thread(target=os.abort); thread.start(); thread.join()"),
    ],
)
def test_a_crash_inside_still_ends_the_process(number: signal.Signals, code: str) -> None:
    assert run_inside(code, Policy()).returncode == -number


def test_the_report_says_what_holds() -> None:
    applied, missing = value_inside("[report.applied, report.missing]", Policy(memory_bytes=1 << 30))
    words = " ".join((*applied, *missing))
    for bound in ("core dumps", "address space", "Landlock", "system calls", "open files"):
        assert bound in words
    _applied, missing = value_inside("[report.applied, report.missing]", Policy(readable=None))
    assert "files: not restricted, a GPU's driver opens its own" in missing
    assert value_inside("report.landlock_abi", Policy(readable=None)) == 0


CHILD = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from edgeai.sandbox import Policy, die_with_parent, enter
import os, time
die_with_parent(int(sys.argv[1])); enter(Policy()); print(os.getpid(), flush=True); time.sleep(60)
"""


def test_a_child_ends_with_its_parent() -> None:
    parent = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), flush=True); time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD, str(1 << 22)], capture_output=True, text=True, check=True)
    assert not done.stdout
