"""What the sandbox really holds here: a fresh process enters it and tries what must be refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from edgeai.sandbox.policy import Report

_TIMEOUT_S = 20
_CODE = """
import sys
sys.path[:] = sys.argv[2:]
import json, os, socket
from edgeai.sandbox import Policy, enter
report = enter(Policy(memory_bytes=1 << 30))
def read(): open("/etc/passwd").close()
def write(): os.open(os.path.join(sys.argv[1], ".edgeai-probe"), os.O_WRONLY | os.O_CREAT)
def connect(): socket.socket()
def program(): os.execv(sys.executable, [sys.executable, "-c", ""])
def process(): os.fork() or os._exit(0)
def memory(): bytearray(1 << 34)
attempts = {"reading /etc/passwd": read, "writing a file": write, "opening a socket": connect,
            "starting a process": process, "taking 16 GiB of memory": memory, "running a program": program}
allowed = []
for name, attempt in attempts.items():
    try:
        attempt()
        allowed.append(name)
    except (OSError, MemoryError, AttributeError):
        pass
print(json.dumps([report.applied, report.missing, allowed]))
"""


def probe() -> Report:
    """Enter a sandbox in a process of its own and see what holds.

    Returns:
        What is applied; among `missing` also what could be done in it all the same.

    Raises:
        OSError: no process can be started, or it failed.
    """
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-I", "-S", "-c", _CODE, str(Path.home()), root, *filter(os.path.isabs, sys.path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
        applied, missing, allowed = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as exc:
        raise OSError(f"the sandbox cannot be tried: {exc}") from exc
    return Report(tuple(applied), (*missing, *(f"{name} is not refused" for name in allowed)))
