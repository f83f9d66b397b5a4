"""Runs code inside a sandbox, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeai.sandbox import Policy

ROOT = Path(__file__).parents[2]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


def landlock_abi() -> int:
    if sys.platform != "linux":
        return 0
    from edgeai.sandbox.landlock import abi
    from edgeai.sandbox.linux import libc

    return abi(libc())


def needs_landlock(version: int) -> pytest.MarkDecorator:
    has = landlock_abi()
    return pytest.mark.skipif(has < version, reason=f"this kernel has Landlock {has}, {version} is needed")


BEFORE = """
import sys; sys.path.insert(0, {root!r})
import ctypes, errno, fcntl, json, os, resource, signal, socket, threading
from edgeai.sandbox import Policy, die_with_parent, enter
def refused(function, *arguments):
    try:
        function(*arguments)
    except (OSError, MemoryError, ValueError) as exc:
        return True
    return False
def call(number, *arguments):
    return ctypes.CDLL(None).syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments))
{before}
report = enter({policy!r})
"""


def run_inside(code: str, policy: Policy, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run code, in which `report`, `refused` and common modules are there."""
    program = BEFORE.format(root=str(ROOT), before=before, policy=policy) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def value_inside(expression: str, policy: Policy | None = None, before: str = "") -> Any:
    """What an expression gives inside; it must be JSON."""
    done = run_inside(f"\nprint(json.dumps({expression}))", policy or Policy(), before)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
