"""What the commands really ask the kernel for: no sockets and no programs but those listed here (traced with strace).

Programs, since another one could reach out for us; io_uring, since it makes sockets without the system calls for them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.offline_commands import COMMANDS, EDGEAI, run_command, run_window

pytestmark = pytest.mark.weights

TRACED = "trace=%network,io_uring_setup,execve,execveat"
ITSELF = rf'execve\("{re.escape(EDGEAI)}", .*\) += 0'
ENGINE = rf'execve\("{re.escape(str(Path(EDGEAI).parent))}/python[\d.]*", \[.*"-I", "-S", .*\) += 0'
"""The engine, or where `doctor` tries the sandbox, a process in it."""
EVENT_LOOP = r"socketpair\(AF_UNIX, SOCK_STREAM\|SOCK_CLOEXEC, 0, \[\d+, \d+\]\) += 0"
"""asyncio wakes its own loop through a pair of sockets that no other process has."""
ITS_FAMILY = r"getsockname\(\d+, \{sa_family=AF_UNIX\}, \[128 => 2\]\) = 0"
WAKE = r"(sendto|recvfrom)\(\d+, .*, \d+, 0, NULL, (NULL|0) ?\) += (\d+|-1 EAGAIN.*)"
REFUSED_IN_THE_SANDBOX = r"(socket|execve)\(.*\) += -1 ENOSYS.*"
"""doctor tries whether the sandbox holds."""
LIBRARIES = r'execve\("[\w/]*/ldconfig", .*\) += 0'
"""doctor asks the system where PortAudio is."""
SOUND = (
    r"socket\(AF_UNIX, SOCK_STREAM(\|SOCK_CLOEXEC)?, 0\) += .*"
    r'|connect\(\d+, \{sa_family=AF_UNIX, sun_path="[^"]*(jack|pulse|pipewire)[^"]*"\}, \d+\) += .*'
)
"""PortAudio asks the sound servers of this machine for their devices."""
HAS_IPV6 = (
    r"socket\(AF_INET6, SOCK_STREAM\|SOCK_CLOEXEC, IPPROTO_IP\) += .*"
    r'|bind\(\d+, \{sa_family=AF_INET6, sin6_port=htons\(0\), .*inet_pton\(AF_INET6, "::1", .*\) += .*'
)
"""urllib3, which RapidOCR imports, looks whether there is an address of this machine's own; it connects to nobody."""
EXPECTED = {
    "ask": [ITSELF, ENGINE],
    "chat --plain": [ITSELF, ENGINE],
    "ask --image": [ITSELF, ENGINE, ENGINE, HAS_IPV6],  # one of them reads the picture
    "ocr": [ITSELF, ENGINE, HAS_IPV6],
    "summarize": [ITSELF, ENGINE, ENGINE],  # one of them reads the document
    "report": [ITSELF, ENGINE, ENGINE],
    "classify": [ITSELF, ENGINE],
    "eval": [ITSELF, ENGINE],
    "review": [ITSELF, ENGINE, HAS_IPV6],
    "bench": [ITSELF, ENGINE],
    "doctor": [ITSELF, ENGINE, REFUSED_IN_THE_SANDBOX, LIBRARIES, SOUND],
    "window": [ITSELF, ENGINE, EVENT_LOOP, ITS_FAMILY, WAKE],
}
"""What may be seen of each command; of those that need no engine, only themselves."""


def whole_calls(trace: str) -> list[str]:
    """The calls without thread numbers; those during which another thread called are put together again.

    A call in which its process ended stands last, without a result.
    """
    calls, begun = [], dict[str, str]()
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        call = call.lstrip()
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>")
        elif resumed := re.match(r"<\.\.\. \w+ resumed>", call):
            calls.append(begun.pop(thread) + call[resumed.end() :])
        elif not call.startswith("+++"):
            calls.append(call)
    return calls + list(begun.values())


@pytest.fixture
def tracer(tmp_path: Path) -> list[str]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    wrapper = ["strace", "-f", "-qq", "-e", TRACED, "-e", "signal=none", "-o", str(tmp_path / "trace")]
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody trace")
    return wrapper


@pytest.fixture
def check(tmp_path: Path) -> Callable[[str], list[str]]:
    """The traced calls, each of which must be expected of this command."""

    def read(name: str) -> list[str]:
        calls = whole_calls((tmp_path / "trace").read_text())
        expected = EXPECTED.get(name, [ITSELF])
        for call in calls:
            assert any(re.fullmatch(pattern, call) for pattern in expected), call
        n_engines = sum(bool(re.fullmatch(ENGINE, call)) for call in calls)
        assert n_engines == expected.count(ENGINE), "the trace follows the engine"
        return calls

    return read


def test_the_tracer_sees_a_socket(tracer: list[str], tmp_path: Path) -> None:
    subprocess.run([*tracer, "python3", "-c", "import socket; socket.socket()"], check=True)
    assert "socket(AF_INET" in (tmp_path / "trace").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_opens_none(
    name: str, tracer: list[str], check: Callable[[str], list[str]], real_model: Path
) -> None:
    done = run_command(name, tracer, real_model)
    assert done.returncode == 0, done.stderr
    check(name)


def test_the_window_has_one_pair_of_its_own(
    tracer: list[str], check: Callable[[str], list[str]], real_model: Path, home: Path
) -> None:
    assert run_window(tracer, real_model, home) == 0
    assert sum(call.startswith("socketpair") for call in check("window")) == 1
