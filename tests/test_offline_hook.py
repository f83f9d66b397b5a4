"""The audit hook refuses other machines, whoever asks, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REFUSED = [
    "socket.create_connection(('192.0.2.1', 80), 1)",
    "socket.create_connection(('2001:db8::1', 80), 1)",
    "socket.create_connection(('example.com', 80), 1)",
    "socket.socket().connect(('192.0.2.1', 80))",
    "socket.socket().connect_ex(('192.0.2.1', 80))",
    "socket.socket(socket.AF_INET6).connect(('fe80::1', 80, 0, 0))",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('192.0.2.1', 53))",
    "socket.socket().bind(('0.0.0.0', 0))",
    "socket.socket().bind(('', 0))",
    "socket.getaddrinfo('example.com', 80)",
    "socket.gethostbyname('example.com')",
    "socket.gethostbyname_ex('example.com')",
    "urllib.request.urlopen('http://192.0.2.1/', timeout=1)",
    "http.client.HTTPConnection('192.0.2.1', timeout=1).request('GET', '/')",
    "asyncio.run(asyncio.open_connection('192.0.2.1', 80))",
    "asyncio.run(asyncio.open_connection('example.com', 80))",
]

ALLOWED = [
    "socket.getaddrinfo('localhost', 80)",
    "socket.getaddrinfo(None, 80)",
    "socket.getaddrinfo('192.0.2.1', 80)",
    "socket.socketpair()",
    "asyncio.run(asyncio.sleep(0))",
    "socket.socket().bind(('127.0.0.1', 0))",
    "socket.socket().bind(('localhost', 0))",
    "[server := socket.create_server(('127.0.0.1', 0)), socket.create_connection(server.getsockname())]",
    "[server := socket.create_server(('127.0.0.1', 0)),"
    " socket.socket(socket.AF_INET6).connect_ex(('::ffff:127.0.0.1', server.getsockname()[1]))]",
]

PRELUDE = """
import asyncio, http.client, socket, urllib.request
from edgeai.offline import network_allowed, refuse_network
from edgeai import OfflineError
refuse_network()
refuse_network()
def attempt():
    return CODE
"""


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[1],
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("code", REFUSED)
def test_other_machines_are_refused(code: str) -> None:
    program = PRELUDE.replace("CODE", code) + "try: attempt()\nexcept OSError as exc: print('refused', exc)"
    told = run(program)
    assert told.startswith("refused"), told
    who = "thread asyncio_0" if "open_connection('example.com'" in code else "__main__ (<string>:"
    assert who in told, "the message names who tried"
    assert "EDGEAI_OFFLINE=0" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("code", ALLOWED)
def test_this_machine_is_allowed(code: str) -> None:
    told = run(PRELUDE.replace("CODE", code) + "attempt(); print('done')")
    assert told == "done\n"


def test_the_network_is_allowed_while_a_block_runs_in_all_threads() -> None:
    program = PRELUDE.replace("CODE", "socket.create_connection(('192.0.2.1', 80), 0.01)") + (
        "import threading\n"
        "def kind():\n"
        "    try: attempt()\n"
        "    except OSError as exc: print(isinstance(exc, OfflineError))\n"
        "with network_allowed():\n"
        "    with network_allowed(): kind()\n"
        "    thread = threading.Thread(target=kind); thread.start(); thread.join()\n"
        "kind()\n"
    )
    assert run(program).split() == ["False", "False", "True"]


def test_an_application_that_embeds_edgeai_keeps_its_network() -> None:
    code = (
        "import socket, edgeai\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\nprint('on')"
    )
    assert "OfflineError" not in run(code)
    assert "OfflineError" not in run(code, EDGEAI_OFFLINE="0")
    assert "OfflineError: __main__" in run(code, EDGEAI_OFFLINE="1")


@pytest.mark.parametrize(("value", "is_refused"), [("", True), ("1", True), ("0", False)])
def test_the_command_line_is_offline_by_default(value: str, is_refused: bool, tmp_path: Path) -> None:
    code = (
        "import socket, sys\n"
        "from tui.cli import main\n"
        "assert main(['models', 'retry', '/no/such.gguf']) == 1\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
    )
    told = run(code, EDGEAI_OFFLINE=value, EDGEAI_HOME=str(tmp_path))
    assert ("OfflineError: __main__" in told) == is_refused, told


def test_another_value_of_the_variable_is_wrong_usage(tmp_path: Path) -> None:
    told = run("import sys; from tui.cli import main; sys.exit(main(['models']))", EDGEAI_OFFLINE="yes")
    assert "EDGEAI_OFFLINE = 'yes': expected 1" in told
