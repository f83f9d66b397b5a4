"""Landlock: the kernel's own bounds on files and network, which a process puts on itself.

Source: the Linux kernel's Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from edgeai.sandbox.linux import Bounds, syscall
from edgeai.sandbox.paths import runtime_paths
from edgeai.sandbox.policy import Policy
from edgeai.sandbox.syscalls import SETUP

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = (
    SETUP[f"landlock_{name}"][0] for name in ("create_ruleset", "add_rule", "restrict_self")
)  # the same numbers on every architecture
_GET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_ALL_OF_ABI_1 = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15  # since ABI 2, 3, 5
_SPECIAL_FILES = 1 << 6 | 0b1111 << 9  # making character devices, sockets, pipes, block devices, links
_TCP = 0b11  # bind, connect; ABI 4
_SCOPES = 0b11  # abstract sockets, signals to others; ABI 6
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """The kernel's version of Landlock; 0 where it has none, or it is switched off."""
    return max(syscall(_number(_CREATE_RULESET), 0, 0, _GET_VERSION), 0)


def restrict(policy: Policy) -> Bounds:
    """Bound the files and the network of this thread and of all it starts later."""
    version = abi()
    if not version:
        return [], ["files and network (this kernel has no Landlock)"]
    handled = _handled_files(version) if policy.readable is not None else 0
    attr = _RulesetAttr(handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    if not (attr.handled_access_fs or attr.handled_access_net or attr.scoped):
        return [], ["files (not bounded for a GPU)", "TCP and signals (this kernel's Landlock is older)"]
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = syscall(_number(_CREATE_RULESET), ctypes.byref(attr), size, 0)
    if ruleset < 0:
        return [], [f"files and network (Landlock: {os.strerror(ctypes.get_errno())})"]
    try:
        if policy.readable is not None:
            readable = _READ_FILE | _READ_DIR
            _allow(ruleset, (*runtime_paths(), *policy.readable), readable & handled)
            _allow(ruleset, ("/dev/null",), (_READ_FILE | _WRITE_FILE) & handled)
            _allow(ruleset, policy.writable, handled & ~(_EXECUTE | _SPECIAL_FILES | _IOCTL_DEV))
        if syscall(_number(_RESTRICT_SELF), ruleset, 0):
            return [], [f"files and network (Landlock: {os.strerror(ctypes.get_errno())})"]
    finally:
        os.close(ruleset)
    return _words(version, policy)


def _handled_files(version: int) -> int:
    rights = _ALL_OF_ABI_1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if version >= since:
            rights |= right
    return rights


def _allow(ruleset: int, paths: Iterable[str], rights: int) -> None:
    """Allow what is done with files beneath these paths; one that is not there cannot be used anyway."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            rule = _PathBeneathAttr(rights if is_folder else rights & _FILE_RIGHTS, descriptor)
            syscall(_number(_ADD_RULE), ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(descriptor)


def _words(version: int, policy: Policy) -> Bounds:
    applied, missing = [], []
    if policy.readable is None:
        missing.append("files (not bounded for a GPU)")
    elif policy.writable:
        applied.append(
            f"files: reads its own and libraries, writes in {', '.join(policy.writable)} (Landlock {version})"
        )
    else:
        applied.append(f"files: reads its own and libraries, writes none (Landlock {version})")
    for since, words in ((4, "no TCP"), (6, "no signals to other processes")):
        (applied if version >= since else missing).append(f"{words} (Landlock)")
    return applied, missing


def _number(number: int | None) -> int:
    assert number is not None
    return number
