"""What a model has no business with is refused, by name and by argument."""

from __future__ import annotations

import platform
from typing import Any

import pytest

from edgeai.sandbox import Policy
from edgeai.sandbox.syscalls import NUMBERS
from tests.sandbox.inside import linux_only, value_inside

pytestmark = linux_only

COLUMN = 0 if platform.machine() == "x86_64" else 1
NEW_PROCESSES = [
    "refused(os.fork)",
    "refused(os.posix_spawn, '/bin/true', ['true'], {})",
    "refused(os.execv, '/bin/true', ['true'])",
]
NETWORK = [
    "refused(socket.socket)",
    "refused(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM)",
    "refused(socket.socket, socket.AF_UNIX)",
    "refused(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)",
    "refused(socket.socketpair)",
]
OTHER_PROCESSES = [
    "refused(os.kill, os.getppid(), 0)",
    "refused(os.kill, -1, 0)",
    "refused(os.kill, 0, 0)",
    "refused(open, f'/proc/{os.getppid()}/mem', 'rb')",
    "refused(open, f'/proc/{os.getppid()}/environ', 'rb')",
    "refused(os.listdir, '/proc')",
    f"call({NUMBERS['ptrace'][COLUMN]}, 16, os.getppid(), 0, 0) == -1",
    f"call({NUMBERS['process_vm_readv'][COLUMN]}, os.getppid(), 0, 0, 0, 0, 0) == -1",
    f"call({NUMBERS['pidfd_open'][COLUMN]}, os.getppid(), 0) == -1",
    f"call({NUMBERS['tgkill'][COLUMN]}, os.getppid(), os.getppid(), 0) == -1",
    f"call({NUMBERS['tkill'][COLUMN]}, os.getppid(), 0) == -1",
    f"call({NUMBERS['prlimit64'][COLUMN]}, os.getppid(), 7, 0, 0) == -1",
    "refused(os.sched_setaffinity, os.getppid(), {0})",
    "refused(os.setpriority, os.PRIO_PROCESS, os.getppid(), 19)",
    "refused(fcntl.fcntl, 0, fcntl.F_SETOWN, os.getppid())",
    "refused(fcntl.fcntl, 0, fcntl.F_SETSIG, 9)",
]
FILES = [
    "refused(open, '/etc/passwd')",
    "refused(open, os.path.expanduser('~/.edgeai-test'), 'w')",
    "refused(open, '/tmp/.edgeai-test', 'w')",
    "refused(os.open, '/tmp', os.O_TMPFILE | os.O_RDWR)",
    "refused(os.mkfifo, '/tmp/.edgeai-fifo')",
    "refused(os.mkdir, '/tmp/.edgeai-folder')",
    "refused(os.chmod, sys.executable, 0o755)",
    "refused(os.utime, sys.executable)",
    "refused(os.chdir, '/')",
    "refused(os.memfd_create, 'x')",
    "refused(fcntl.flock, 0, fcntl.LOCK_SH)",
]
THE_SANDBOX_ITSELF = [
    "refused(resource.setrlimit, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))",
    "refused(resource.setrlimit, resource.RLIMIT_CORE, (1 << 20, 1 << 20))",
    "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == -1",  # PR_SET_DUMPABLE
    "ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == -1",  # PR_SET_PDEATHSIG
    "ctypes.CDLL(None).unshare(0x10000000) == -1",
    "ctypes.CDLL(None).personality(0) == -1",
    "refused(os.chroot, '/')",
    "refused(os.setuid, 0)",
    f"call({NUMBERS['clone'][COLUMN]}, 0x10000000 | 0x10f00, 0, 0, 0, 0) == -1",  # a thread in a new user namespace
    f"call({NUMBERS['io_uring_setup'][COLUMN]}, 8, 0) == -1",
    f"call({NUMBERS['bpf'][COLUMN]}, 0, 0, 0) == -1",
    f"call({NUMBERS['userfaultfd'][COLUMN]}, 1) == -1",
    f"call({NUMBERS['mount'][COLUMN]}, 0, 0, 0, 0, 0) == -1",
]
ATTEMPTS = [*NETWORK, *NEW_PROCESSES, *OTHER_PROCESSES, *FILES, *THE_SANDBOX_ITSELF]
WITH_A_GPU = [*NETWORK, *NEW_PROCESSES, *OTHER_PROCESSES[:3], *OTHER_PROCESSES[6:13], *THE_SANDBOX_ITSELF[8:]]


def results(attempts: list[str], policy: Policy) -> dict[str, Any]:
    expression = ", ".join(f"{attempt!r}: {attempt}" for attempt in attempts)
    found = value_inside(f"{{{expression}}}", policy)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def strict() -> dict[str, Any]:
    return results(ATTEMPTS, Policy())


@pytest.fixture(scope="module")
def lenient() -> dict[str, Any]:
    return results(WITH_A_GPU, Policy(readable=None))


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_refused(attempt: str, strict: dict[str, Any]) -> None:
    assert strict[attempt] is True


@pytest.mark.parametrize("attempt", WITH_A_GPU)
def test_refused_even_without_file_rules(attempt: str, lenient: dict[str, Any]) -> None:
    assert lenient[attempt] is True


def test_what_the_same_attempts_do_outside() -> None:
    """They are refused by the sandbox, not for other reasons."""
    allowed = [
        "refused(socket.socket)",
        "refused(os.kill, os.getppid(), 0)",
        "refused(open, '/etc/passwd')",
        "refused(os.utime, sys.executable)",
        "refused(fcntl.flock, 0, fcntl.LOCK_SH)",
        "refused(os.memfd_create, 'x')",
    ]
    before = f"enter = lambda policy: None; outside = [{', '.join(allowed)}]"
    assert value_inside("outside", before=before) == [False] * len(allowed)


def test_a_driver_may_send_commands_to_its_device() -> None:
    expression = "[ctypes.CDLL(None, use_errno=True).ioctl(0, 0x12345678), ctypes.get_errno() != errno.EPERM]"
    before = "os.dup2(os.open('/dev/null', os.O_RDWR), 0)"
    code = f"[{expression}, len(open('/etc/passwd').read()) > 0, len(os.listdir('/')) > 0]"
    assert value_inside(code, Policy(readable=None), before)[1:] == [True, True]
    assert value_inside("refused(fcntl.ioctl, 0, 0x12345678)", before=before) is True


def test_an_open_socket_is_of_no_use() -> None:
    before = "tcp = socket.socket()"
    assert value_inside("refused(tcp.connect, ('127.0.0.1', 9)) and refused(tcp.bind, ('127.0.0.1', 0))", before=before)


def test_threads_that_run_already_lose_their_system_calls_too() -> None:
    before = """
go, found = threading.Event(), []
thread = threading.Thread(target=lambda: (go.wait(), found.append(refused(socket.socket))))
thread.start()
"""
    expression = "[go.set(), thread.join(), found, report.landlock_abi, report.missing]"
    _, _, found, abi, missing = value_inside(expression, before=before)
    assert found == [True]
    assert abi in (0, *range(8, 99)) or missing == ["files: threads that ran before are not restricted"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86_64 has these numbers")
def test_other_numbers_of_the_same_calls_are_refused() -> None:
    x32_getpid = 0x40000000 + 39
    assert value_inside(f"call({x32_getpid})") == -1
