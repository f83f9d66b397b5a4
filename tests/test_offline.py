"""Everything but `models pull` works in a network namespace that has no interface at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.offline_commands import COMMANDS, EDGEAI, run_command, run_window

pytestmark = pytest.mark.weights

UNSHARE = ("unshare", "--map-root-user", "--net")


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


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_works(name: str, real_model: Path) -> None:
    done = run_command(name, UNSHARE, real_model)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_conversation_is_held_and_kept(real_model: Path) -> None:
    assert run_command("chat --plain", UNSHARE, real_model).returncode == 0
    assert len(json.loads(run_command("history list", UNSHARE, real_model).stdout)) == 1


def test_the_window_answers_and_closes(real_model: Path, home: Path) -> None:
    assert run_window(UNSHARE, real_model, home) == 0


def test_pulling_says_in_one_line_that_there_is_no_network() -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": ""}
    pull = [*UNSHARE, EDGEAI, "models", "pull", "smollm2-135m-instruct"]
    done = subprocess.run(pull, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "network" in errors[0]
    assert "EDGEAI_OFFLINE" not in errors[0], "the system has no network; edgeai did not refuse it"
    assert "Traceback" not in done.stderr
