"""The audit hook refuses other machines, whoever asks, and nothing else."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.offline_commands import EDGEAI

REFUSED = {
    "socket.create_connection(('192.0.2.1', 80), 1)": "connect to 192.0.2.1:80",
    "socket.create_connection(('2001:db8::1', 80), 1)": "connect to [2001:db8::1]:80",
    "socket.create_connection(('example.com', 80), 1)": "look up example.com",
    "socket.socket().connect(('192.0.2.1', 80))": "connect to 192.0.2.1:80",
    "socket.socket().connect_ex(('192.0.2.1', 80))": "connect to 192.0.2.1:80",
    "socket.socket(socket.AF_INET6).connect(('fe80::1', 80, 0, 0))": "connect to [fe80::1]:80",
    "socket.socket(socket.AF_INET6).connect(('::ffff:192.0.2.1', 80))": "connect to [::ffff:192.0.2.1]:80",
    "udp().connect(('192.0.2.1', 53))": "connect to 192.0.2.1:53",
    "udp().sendto(b'x', ('192.0.2.1', 53))": "send to 192.0.2.1:53",
    "udp().sendmsg([b'x'], [], 0, ('192.0.2.1', 53))": "send to 192.0.2.1:53",
    "socket.socket().bind(('0.0.0.0', 0))": "listen at 0.0.0.0:0",
    "socket.socket().bind(('', 0))": "listen at :0",
    "socket.getaddrinfo('example.com', 80)": "look up example.com",
    "socket.getaddrinfo(b'example.com', 80)": "look up example.com",
    "socket.getaddrinfo('two\\nlines\\x1b[31m', 80)": "look up two\ufffdlines\ufffd[31m",
    "socket.gethostbyname('example.com')": "look up example.com",
    "socket.gethostbyname_ex('example.com')": "look up example.com",
    "socket.gethostbyaddr('192.0.2.1')": "look up the name of 192.0.2.1",
    "socket.getnameinfo(('192.0.2.1', 80), 0)": "look up the name of 192.0.2.1:80",
    "urllib.request.urlopen('http://192.0.2.1/', timeout=1)": "connect to 192.0.2.1:80",
    "http.client.HTTPConnection('192.0.2.1', timeout=1).request('GET', '/')": "connect to 192.0.2.1:80",
    "smtplib.SMTP('192.0.2.1', timeout=1)": "connect to 192.0.2.1:25",
    "asyncio.run(asyncio.open_connection('192.0.2.1', 80))": "connect to 192.0.2.1:80",
    "asyncio.run(asyncio.open_connection('example.com', 80))": "look up example.com",
    "sys.audit('socket.connect', None, ('192.0.2.1', 80))": "connect to 192.0.2.1:80",
}
"""What is tried, and how the error calls it. The addresses are those kept for documentation: RFC 5737, RFC 3849."""

ALLOWED = [
    "socket.getaddrinfo('localhost', 80)",
    "socket.getaddrinfo('LocalHost', 80)",
    "socket.getaddrinfo(None, 80)",
    "socket.getaddrinfo('192.0.2.1', 80)",
    "socket.gethostbyname('')",
    "socket.getnameinfo(('127.0.0.1', 80), 0)",
    "socket.getfqdn()",
    "socket.socketpair()",
    "asyncio.run(asyncio.sleep(0))",
    "socket.socket().bind(('127.0.0.1', 0))",
    "socket.socket().bind(('localhost', 0))",
    "socket.socket().bind(('127.8.8.8', 0))",
    "socket.socket(socket.AF_INET6).connect_ex(('::1', 9))",
    "socket.create_connection(server.getsockname())",
    "socket.socket(socket.AF_INET6).connect_ex(('::ffff:127.0.0.1', server.getsockname()[1]))",
    "udp().sendto(b'x', server.getsockname())",
    "asyncio.run(asyncio.open_connection('localhost', server.getsockname()[1]))",
    "[s := socket.socket(socket.AF_UNIX), s.bind(FOLDER + '/s'), s.listen(),"
    " socket.socket(socket.AF_UNIX).connect(FOLDER + '/s')]",
    "[pair := socket.socketpair(), pair[0].sendmsg([b'x'])]",
    "hasattr(socket, 'AF_NETLINK') and socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).bind((0, 0))",
    "sys.audit('socket.connect')",
    "sys.audit('socket.getaddrinfo')",
    "sys.audit('socket.somethingnew', 1)",
]

PRELUDE = """
import asyncio, http.client, smtplib, socket, sys, threading, urllib.request
from edgeai.offline import network_allowed, refuse_network
from edgeai import OfflineError
def udp():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def is_refused():
    try:
        udp().connect(('192.0.2.1', 9))
    except OfflineError:
        return True
    except OSError:
        pass  # allowed, but there may be no network
    return False
"""
ATTEMPTS = """
refuse_network()
refuse_network()
server = socket.create_server(('127.0.0.1', 0))
def outcome(code):
    try:
        eval(code)
    except OSError as exc:
        return f"{type(exc).__name__}: {exc}"
    return "done"
print({code: outcome(code) for code in CODES})
"""


def run(code: str, *words: str, **environment: str) -> str:
    """What a fresh interpreter prints on both streams."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[1],
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All attempts, in one process: they leave nothing behind for each other."""
    codes, folder = [*REFUSED, *ALLOWED], str(tmp_path_factory.mktemp("sockets"))
    told = run(f"{PRELUDE}\nCODES, FOLDER = {codes!r}, {folder!r}\n{ATTEMPTS}")
    result = ast.literal_eval(told)
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("code", REFUSED)
def test_other_machines_are_refused(code: str, outcomes: dict[str, str]) -> None:
    error = "URLError: <urlopen error" if "urlopen" in code else "OfflineError:"  # urllib wraps what fails to connect
    who = "thread asyncio_0" if "open_connection('example.com'" in code else "__main__ (<string>:1)"
    told = outcomes[code]
    assert told.startswith(f"{error} {who} tried to {REFUSED[code]}: edgeai works offline"), told
    assert "EDGEAI_OFFLINE=0" in told
    assert "\n" not in told


@pytest.mark.parametrize("code", ALLOWED)
def test_this_machine_is_allowed(code: str, outcomes: dict[str, str]) -> None:
    assert "OfflineError" not in outcomes[code]
    if "_ex(" not in code and "::" not in code:  # IPv6 may be missing here
        assert outcomes[code] == "done"


def test_the_error_names_the_file_and_line_that_tried(tmp_path: Path) -> None:
    (tmp_path / "telemetry.py").write_text(
        "import urllib.request\n\ndef phone_home():\n    urllib.request.urlopen('http://example.com/usage')\n"
    )
    told = run(f"{PRELUDE}\nrefuse_network()\nimport telemetry\ntelemetry.phone_home()", PYTHONPATH=str(tmp_path))
    assert f"telemetry ({tmp_path / 'telemetry.py'}:4) tried to look up example.com" in told


def test_a_library_takes_it_for_a_connection_that_failed() -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    program = (
        "refuse_network()\nfrom huggingface_hub import HfApi\n"
        "try: HfApi().model_info('some/model', timeout=5)\n"
        "except Exception as exc: print(type(exc).__name__, exc)\n"
    )
    told = run(PRELUDE + program)
    assert told.startswith("ConnectError "), told
    assert "tried to look up huggingface.co: edgeai works offline" in told


def test_the_network_is_allowed_while_a_block_runs_in_all_threads() -> None:
    program = (
        "refuse_network()\n"
        "with network_allowed():\n"
        "    with network_allowed(): print(is_refused())\n"
        "    thread = threading.Thread(target=lambda: print(is_refused())); thread.start(); thread.join()\n"
        "    print(is_refused())\n"
        "print(is_refused())\n"
        "try:\n"
        "    with network_allowed(): raise ValueError\n"
        "except ValueError: print(is_refused())\n"
    )
    assert run(PRELUDE + program).split() == ["False", "False", "False", "True", "True"]


def test_it_stays_allowed_until_the_last_thread_has_left_its_block() -> None:
    program = (
        "refuse_network()\n"
        "inside, leave = threading.Event(), threading.Event()\n"
        "def stay():\n"
        "    with network_allowed(): inside.set(); leave.wait(20)\n"
        "def come_and_go():\n"
        "    for _ in range(5000):\n"
        "        with network_allowed(): pass\n"
        "sys.setswitchinterval(1e-6)\n"
        "stayer = threading.Thread(target=stay); stayer.start(); inside.wait(20)\n"
        "threads = [threading.Thread(target=come_and_go) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(is_refused()); leave.set(); stayer.join(); print(is_refused())\n"
    )
    assert run(PRELUDE + program).split() == ["False", "True"]


def test_a_textual_application_runs() -> None:
    program = (
        "refuse_network()\nfrom textual.app import App\n"
        "class Small(App):\n    BINDINGS = [('x', 'leave', '')]\n    def action_leave(self): self.exit('left')\n"
        "async def use():\n"
        "    app = Small()\n"
        "    async with app.run_test() as pilot: await pilot.press('x')\n"
        "    print(app.return_value, is_refused())\n"
        "asyncio.run(use())\n"
    )
    assert run(PRELUDE + program) == "left True\n"


@pytest.mark.parametrize(("value", "refuses"), [(None, False), ("0", False), ("yes", False), ("1", True)])
def test_an_application_that_embeds_edgeai_keeps_its_network(value: str | None, refuses: bool) -> None:
    environment = {} if value is None else {"EDGEAI_OFFLINE": value}
    assert run("import edgeai" + PRELUDE + "print(is_refused())", **environment) == f"{refuses}\n"


def edgeai(folder: Path, startup: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command after a startup file has been read, which may watch it from within."""
    (folder / "sitecustomize.py").write_text(startup)
    kept = {key: value for key, value in os.environ.items() if key != "EDGEAI_OFFLINE"}
    return subprocess.run(
        [EDGEAI, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore", **environment},
    )


AT_THE_END = """import atexit, socket
@atexit.register
def phone_home():
    try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))
    except OSError as exc: print("ended with", type(exc).__name__, exc)
    else: print("ended with a connection")
"""


@pytest.mark.parametrize(("value", "is_refused"), [(None, True), ("", True), ("1", True), ("0", False)])
def test_the_command_line_is_offline_by_default(value: str | None, is_refused: bool, tmp_path: Path) -> None:
    environment = {} if value is None else {"EDGEAI_OFFLINE": value}
    done = edgeai(tmp_path, AT_THE_END, "history", "list", **environment)
    assert done.returncode == 0, done.stderr
    who = f"sitecustomize ({tmp_path / 'sitecustomize.py'}:4) tried to connect to 192.0.2.1:9"
    assert ("ended with OfflineError " + who in done.stdout) == is_refused, done.stdout
    assert "ended with" in done.stdout


def test_another_value_of_the_variable_is_wrong_usage(tmp_path: Path) -> None:
    done = edgeai(tmp_path, "", "history", "list", EDGEAI_OFFLINE="yes")
    assert done.returncode == 2
    assert "EDGEAI_OFFLINE = 'yes': expected 1" in done.stderr


def test_a_command_is_offline_before_it_is_imported(tmp_path: Path) -> None:
    startup = AT_THE_END.replace("@atexit.register\n", "") + (
        "import sys\n"
        "class Watcher:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tui.commands.history': phone_home()\n"
        "sys.meta_path.insert(0, Watcher())\n"
    )
    done = edgeai(tmp_path, startup, "history", "list")
    assert done.stdout.startswith("ended with OfflineError sitecustomize "), done.stdout + done.stderr


def test_of_all_commands_pulling_alone_is_online() -> None:
    program = (
        "import edgeai.pull, tui.cli, edgeai.model_list\n"
        "def pull(*args, **options): print('pull', is_refused()); raise edgeai.PullError('enough')\n"
        "def all_models(): print('list', is_refused()); return []\n"
        "edgeai.pull.is_installed, edgeai.pull.pull = lambda name: False, pull\n"
        "edgeai.model_list.all_models = all_models\n"
        "tui.cli.main(['models', 'pull', 'smollm2-135m-instruct'])\n"
        "tui.cli.main(['models', '--json'])\n"
    )
    told = run(PRELUDE + program, EDGEAI_HOME="/nonexistent")
    assert "pull False\n" in told
    assert "list True\n" in told
