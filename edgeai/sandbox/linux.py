"""The two system calls by which a Linux process bounds itself, and what is common to them."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

Bounds = tuple[list[str], list[str]]
"""What is applied, what is missing."""


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def prctl(operation: int, *arguments: int) -> int:
    """prctl(2); 0 on success."""
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return int(_libc().prctl(operation, *padded))


def syscall(number: int, *arguments: Any) -> int:
    """syscall(2); -1 on failure, with the reason in ctypes.get_errno()."""
    converted = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    call = _libc().syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *converted))


def forbid_new_privileges() -> bool:
    """What Landlock and seccomp ask for first: set-user-id programs have no effect any more."""
    return prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0


def forbid_dumps() -> Bounds:
    """No core dump, not even one that is piped to a program, and no tracing by other processes of the user."""
    if prctl(_PR_SET_DUMPABLE, 0) == 0:
        return ["memory cannot be dumped or traced"], []
    return [], ["protection of the memory from dumps"]
