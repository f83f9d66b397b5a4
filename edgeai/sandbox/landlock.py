"""Landlock: which files a process can open, and with whom it can connect.

Source: Linux's Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeai.sandbox.paths import existing_runtime_paths
from edgeai.sandbox.policy import Policy, Report

# the same numbers on every processor
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _RULE_PATH_BENEATH = 1, 1
_ALL_THREADS_FLAG, _ALL_THREADS_ABI = 8, 8
_NO_LANDLOCK = "the kernel has no Landlock (Linux 5.13 or newer, switched on)"

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Every right that an ABI knows: executing, special files, symbolic links and device commands are given to nobody."""
_NO_TCP = 0b11  # to bind, to connect
_SCOPED = 0b11  # abstract Unix sockets, signals

_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_FOR_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE  # the kernel takes no others for a path that is no folder


def abi(libc: Any) -> int:
    """The version of Landlock's interface; 0 where the kernel has none."""
    version = _syscall(libc, _CREATE_RULESET, ctypes.c_void_p(None), 0, _VERSION_FLAG)
    return max(0, version)


def restrict(libc: Any, policy: Policy) -> Report:
    """Enforce the policy's rules for files. Needs no_new_privs."""
    version = abi(libc)
    if not version:
        return Report(missing=(f"files: {_NO_LANDLOCK}, what the user can read can be read",))
    has_file_rules = policy.readable is not None
    rights = _handled(version) if has_file_rules else 0
    rules = list(_allowed(policy, policy.readable)) if policy.readable is not None else []
    applied, missing = _words(version, policy)
    if not applied:
        return Report(missing=missing)
    ruleset = _ruleset(libc, version, rights)
    if ruleset < 0:
        return Report(missing=(f"files: Landlock takes no rules ({os.strerror(ctypes.get_errno())})",))
    try:
        for path, allowed in rules:
            _allow(libc, ruleset, path, allowed & rights)
        problem = _enter(libc, ruleset, version)
    finally:
        os.close(ruleset)
    if problem:
        return Report(missing=(f"files: Landlock cannot be entered ({problem})",))
    if version < _ALL_THREADS_ABI and _n_threads() > 1:
        missing = (*missing, "files: threads that ran before are not restricted")
    return Report(applied, missing, landlock_abi=version if has_file_rules else 0)


def _enter(libc: Any, ruleset: int, version: int) -> str:
    """What went wrong, or ""."""
    flags = _ALL_THREADS_FLAG if version >= _ALL_THREADS_ABI else 0
    if _syscall(libc, _RESTRICT_SELF, ruleset, flags) == 0:
        return ""
    return os.strerror(ctypes.get_errno())


def _n_threads() -> int:
    """Threads of this process, native ones too; 1 where /proc does not tell."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return 1


def _words(version: int, policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is applied, what is missing."""
    applied: list[str] = []
    missing: list[str] = []
    if policy.readable is None:
        missing.append("files: not restricted, a GPU's driver opens its own")
    else:
        written = "writes in its own folders only" if policy.writable else "writes none"
        applied.append(f"files: reads what it was given and the system's libraries, {written} (Landlock ABI {version})")
    if version >= 4:
        applied.append("network: no TCP (Landlock)")
    if version >= 6:
        applied.append("other processes: no signals, no abstract sockets (Landlock)")
    return tuple(applied), tuple(missing)


def _handled(version: int) -> int:
    return max(rights for since, rights in _FILE_RIGHTS_BY_ABI.items() if since <= version)


def _ruleset(libc: Any, version: int, rights: int) -> int:
    fields = [rights]
    if version >= 4:
        fields.append(_NO_TCP)
    if version >= 6:
        fields.append(_SCOPED)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    return _syscall(libc, _CREATE_RULESET, attributes, len(attributes), 0)


def _allowed(policy: Policy, readable: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for path in (*existing_runtime_paths(), *readable):
        yield path, _READ
    yield "/dev/null", _READ | _WRITE_FILE
    for path in policy.writable:
        yield path, _WRITE


def _allow(libc: Any, ruleset: int, path: str, rights: int) -> None:
    """Add a rule for what is at a path now; a path at which nothing is needs none."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return
    keep = path.startswith(("/proc", "/sys"))  # rules hang on inodes, and those of proc are dropped when nobody has one
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FOR_FILES
        _syscall(libc, _ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        if not keep:
            os.close(descriptor)


def _syscall(libc: Any, number: int, *arguments: Any) -> int:
    """A system call; -1 with errno set where it fails."""
    longs = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return int(libc.syscall(ctypes.c_long(number), *longs))
