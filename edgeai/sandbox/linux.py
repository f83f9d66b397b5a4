"""Entering the sandbox on Linux: the order of its parts, and what needs only a call or two."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import struct
from pathlib import Path
from typing import Any

from edgeai.sandbox import landlock, seccomp
from edgeai.sandbox.limits import limit
from edgeai.sandbox.policy import Policy, Report

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION_3 = 0x20080522
_KEPT_CAPABILITIES = 1 << 1 | 1 << 2 | 1 << 14  # to open a user's model as root (DAC_*), to lock memory (IPC_LOCK)
_OOM_SCORE_ADJ = 500  # of -1000 to 1000


def enter_linux(policy: Policy) -> Report:
    """See `edgeai.sandbox.enter`."""
    limits = limit(policy)
    applied, missing = list(limits.applied), list(limits.missing)
    _prefer_for_oom_kill()
    if _drop_capabilities():
        applied.append("privileges: root's given up")
    # core_pattern may hand dumps to a program whatever the limit says; and nobody of this user's may attach now
    if _prctl(_PR_SET_DUMPABLE, 0):
        applied.append("memory of the process: hidden from the user's other processes")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)  # without it the two refuse to be entered, and say so
    files = landlock.restrict(libc(), policy)
    calls = seccomp.restrict(libc(), policy)
    return Report(
        (*files.applied, *calls.applied, *applied),
        (*files.missing, *calls.missing, *missing),
        landlock_abi=files.landlock_abi,
        n_system_calls=calls.n_system_calls,
    )


def die_with_parent_linux(parent_pid: int) -> None:
    """See `edgeai.sandbox.die_with_parent`."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the call
        os._exit(0)


@functools.cache
def libc() -> Any:
    """The C library, whose `syscall` and `prctl` take and return C longs."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def _prctl(option: int, value: int) -> bool:
    numbers = [ctypes.c_ulong(number) for number in (value, 0, 0, 0)]
    return int(libc().prctl(ctypes.c_int(option), *numbers)) == 0


def _prefer_for_oom_kill() -> None:
    """When memory runs out, the kernel shall end this process and not the application that started it."""
    path = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError, ValueError):
        if int(path.read_text()) < _OOM_SCORE_ADJ:
            path.write_text(str(_OOM_SCORE_ADJ))


def _drop_capabilities() -> bool:
    """Give up what root may do beyond files; False when there was nothing to give up."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    held = ctypes.create_string_buffer(24)
    if libc().capget(header, held) != 0:
        return False
    # two halves of 32 capabilities each: effective, permitted, inheritable
    effective, permitted, _, high_effective, high_permitted, _ = struct.unpack("=6I", held.raw)
    kept = (effective & _KEPT_CAPABILITIES, permitted & _KEPT_CAPABILITIES, 0, 0, 0, 0)
    if kept[:2] == (effective, permitted) and not (high_effective or high_permitted):
        return False
    return int(libc().capset(header, struct.pack("=6I", *kept))) == 0
