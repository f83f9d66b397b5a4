"""What must be refused in the sandbox is refused, and what computing needs works."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeai.sandbox import Policy
from edgeai.sandbox.probe import probe
from tests.sandbox.inside import ROOT, linux_only, needs_landlock, run_inside, value_inside
from tests.tiny import tiny_model

pytestmark = linux_only


@pytest.mark.parametrize(
    "attempt",
    [
        "refused(socket.socket)",
        "refused(socket.socket, socket.AF_UNIX)",
        "refused(socket.socketpair)",
        "refused(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)",
        "refused(os.fork)",
        "refused(os.posix_spawn, '/bin/true', ['true'], {})",
        "refused(os.execv, '/bin/true', ['true'])",
        "refused(os.kill, os.getppid(), 0)",
        "refused(os.kill, -1, 0)",
        "refused(os.chroot, '/')",
        "refused(os.setuid, 0)",
        "refused(os.mkfifo, '/tmp/edgeai-fifo')",
        "refused(os.memfd_create, 'x')",
        "refused(os.sched_setaffinity, os.getppid(), {0})",
        "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1",
        "ctypes.CDLL(None).unshare(0x10000000) == -1",
        "ctypes.CDLL(None).personality(0) == -1",
        "ctypes.CDLL(None).syscall(425, 8, 0) == -1",  # io_uring_setup
        "ctypes.CDLL(None).syscall(321, 0, 0, 0) == -1 or os.uname().machine != 'x86_64'",  # bpf
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == -1",  # dumpable again
    ],
)
def test_what_a_model_has_no_business_with_is_refused(attempt: str) -> None:
    assert value_inside(attempt) is True


def test_an_open_socket_is_of_no_use(tmp_path: Path) -> None:
    before = "pair = socket.socketpair(); tcp = socket.socket()"
    assert value_inside("refused(tcp.connect, ('127.0.0.1', 9)) and refused(tcp.bind, ('127.0.0.1', 0))", before=before)


@needs_landlock(1)
def test_only_what_the_policy_names_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    model, sibling = folder / "model.bin", folder / "other.bin"
    for file in (model, sibling, tmp_path / "secret"):
        file.write_text("content")
    (folder / "link").symlink_to(tmp_path / "secret")
    policy = Policy(readable=(str(model), str(folder / "missing")))
    assert value_inside(f"open({str(model)!r}).read()", policy) == "content"
    for path in (sibling, tmp_path / "secret", "/etc/passwd", "/proc/1/environ", Path.home()):
        assert value_inside(f"refused(open, {str(path)!r}) and refused(os.listdir, {str(path)!r})", policy), path
    whole = Policy(readable=(str(folder),))
    assert value_inside(f"open({str(sibling)!r}).read()", whole) == "content"
    assert value_inside(f"refused(open, {str(folder / 'link')!r})", whole), "a link out of the folder"
    assert value_inside(f"refused(open, {str(model)!r}, 'a')", whole)


@needs_landlock(1)
def test_only_the_writable_folder_is_written_in(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    state.mkdir()
    other.mkdir()
    code = f"""
path = {str(state / "a.bin")!r}
with open(path + ".part", "wb") as file:
    file.write(b"x" * 1000); file.flush(); os.fsync(file.fileno())
os.replace(path + ".part", path)
os.mkdir({str(state / "sub")!r}); os.rmdir({str(state / "sub")!r})
assert refused(open, {str(other / "a")!r}, "w")
assert refused(os.rename, path, {str(other / "a")!r})
assert refused(os.symlink, "/etc/passwd", {str(state / "link")!r})
assert refused(os.link, path, {str(state / "hard")!r})
with open(path, "rb") as file:
    assert len(file.read()) == 1000
os.remove(path)
"""
    done = run_inside(code, Policy(writable=(str(state),), file_bytes=1 << 20))
    assert done.returncode == 0, done.stderr
    assert not list(state.iterdir())
    assert not list(other.iterdir())


def test_nothing_is_written_without_a_writable_folder(tmp_path: Path) -> None:
    assert value_inside(f"refused(open, {str(tmp_path / 'a')!r}, 'w')")


def test_a_file_cannot_grow_beyond_its_limit(tmp_path: Path) -> None:
    code = f"""
with open({str(tmp_path / "big")!r}, "wb", buffering=0) as file:
    assert file.write(b"x" * 5000) == 4096
    assert refused(file.write, b"x")
"""
    done = run_inside(code, Policy(writable=(str(tmp_path),), file_bytes=4096))
    assert done.returncode == 0, done.stderr


def test_memory_has_a_limit() -> None:
    policy = Policy(memory_bytes=300 * 2**20)
    assert value_inside("len(bytearray(100 << 20))", policy) == 100 << 20
    assert value_inside("refused(bytearray, 400 << 20)", policy) is True
    assert value_inside("len(bytearray(400 << 20))", Policy()) == 400 << 20


def test_open_files_have_a_limit() -> None:
    code = (
        "files = []\nwhile not refused(lambda: files.append(os.open('/dev/null', os.O_RDONLY))): assert len(files) < 99"
    )
    done = run_inside(code + "\nprint(len(files))", Policy(open_files=32))
    assert 10 < int(done.stdout) < 32, done.stderr


def test_threads_clocks_and_late_imports_work() -> None:
    code = """
import time, random, subprocess, tempfile, hashlib
results = []
threads = [threading.Thread(target=lambda: results.append(time.perf_counter())) for _ in range(8)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
assert len(results) == 8
import numpy, llguidance, psutil
assert (numpy.ones((300, 300)) @ numpy.ones((300, 300)))[0, 0] == 300
assert sum(core.idle for core in psutil.cpu_times(percpu=True)) > 0
assert os.urandom(4) and os.cpu_count() and os.sched_getaffinity(0)
assert open("/proc/self/status").read() and os.listdir("/proc/self/fd")
open("/dev/null", "w").write("x")
"""
    done = run_inside(code, Policy(memory_bytes=4 << 30))
    assert done.returncode == 0, done.stderr


def test_llama_cpp_computes_inside(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "model.gguf")
    code = f"""
from pathlib import Path
from edgeai.backends.base import GenerateRequest
from edgeai.options import LoadOptions, SamplingOptions
from edgeai.structured import OutputFormat
backend = LlamaBackend(Path({str(path)!r}), LoadOptions(n_threads=2), n_ctx=256, max_threads=2)
tokens = backend.tokenize("Hello")
plain = list(backend.generate(GenerateRequest(tokens, SamplingOptions(temperature=0, max_tokens=8))))
schema = {{"type": "object", "properties": {{"a": {{"type": "integer"}}}}, "required": ["a"]}}
grammar = OutputFormat(schema).grammar
shaped = list(backend.generate(GenerateRequest(tokens, SamplingOptions(max_tokens=60, seed=1), grammar=grammar)))
print(len(plain[-1].tokens), "".join(getattr(event, "text", "") for event in shaped)[:2])
"""
    before = (
        "from edgeai.backends.llama import LlamaBackend\nfrom edgeai.backends.llama_native import bindings; bindings()"
    )
    done = run_inside(code, Policy(readable=(str(path),), memory_bytes=2 << 30), before)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 {")


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_an_abort_inside_still_ends_the_process(number: signal.Signals) -> None:
    done = run_inside("os.abort()" if number is signal.SIGABRT else "ctypes.string_at(0)", Policy())
    assert done.returncode == -number


def test_threads_that_run_already_lose_their_system_calls_too() -> None:
    before = """
go, results = threading.Event(), []
thread = threading.Thread(target=lambda: (go.wait(), results.append(refused(socket.socket))))
thread.start()
"""
    done = run_inside("go.set(); thread.join(); print(results)", Policy(), before)
    assert done.stdout.strip() == "[True]", done.stderr


def test_the_report_says_what_holds() -> None:
    applied, missing = value_inside("[report.applied, report.missing]", Policy(memory_bytes=1 << 30))
    words = " ".join(applied)
    for bound in ("core dumps", "address space", "Landlock", "seccomp", "no TCP"):
        assert bound in words or bound in " ".join(missing)
    _applied, missing = value_inside("[report.applied, report.missing]", Policy(readable=None))
    assert "files (not bounded for a GPU)" in missing


def test_without_file_rules_files_are_read_and_the_network_stays_closed() -> None:
    assert (
        value_inside("[len(open('/etc/hosts').read()) >= 0, refused(socket.socket)]", Policy(readable=None))
        == [True] * 2
    )


def test_the_probe_finds_nothing_open_where_the_kernel_has_all() -> None:
    report = probe()
    assert any("seccomp" in words for words in report.applied + report.missing)
    if not report.missing:
        assert any("Landlock" in words for words in report.applied)


def test_a_child_ends_with_the_thread_and_the_process_that_started_it() -> None:
    child = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from edgeai.sandbox import die_with_parent
import os, time
die_with_parent(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(60)
"""
    parent = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid())], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), flush=True); time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from edgeai.sandbox import die_with_parent
die_with_parent(1 << 22)
print("on")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout
