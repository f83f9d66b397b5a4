"""Everything but `models pull` works in a network namespace that has no interface at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.weights

UNSHARE = ("unshare", "--map-root-user", "--net")
EDGEAI = str(Path(sys.executable).with_name("edgeai"))


def offline(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": ""}
    return subprocess.run(
        [*UNSHARE, EDGEAI, *arguments], input=stdin, capture_output=True, text=True, timeout=120, env=environment
    )


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    try:
        subprocess.run([*UNSHARE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system gives no network namespaces")


def test_nothing_can_be_reached_there() -> None:
    code = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    done = subprocess.run([*UNSHARE, sys.executable, "-c", code], capture_output=True, text=True)
    assert "unreachable" in done.stderr


def test_ask_answers(real_model: Path) -> None:
    done = offline("ask", "--model", str(real_model), "--max-tokens", "5", "--stats", "Hello")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert json.loads(done.stderr)["completion_tokens"] == 5


def test_a_conversation_is_held_and_kept(real_model: Path) -> None:
    done = offline("chat", "--plain", "--model", str(real_model), "--max-tokens", "8", stdin="Hello\nAnd again\n")
    assert done.returncode == 0, done.stderr
    listed = offline("history", "list", "--json")
    assert len(json.loads(listed.stdout)) == 1, listed.stderr


@pytest.mark.parametrize("command", [("models", "--json"), ("doctor", "--json")])
def test_reports_work(command: tuple[str, ...]) -> None:
    done = offline(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_pulling_says_in_one_line_that_there_is_no_network() -> None:
    done = offline("models", "pull", "smollm2-135m-instruct")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "network" in errors[0]
    assert "Traceback" not in done.stderr
