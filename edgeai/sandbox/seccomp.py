"""seccomp: a list of the system calls that are left; all others fail as if the kernel did not know them.

"Not known" (ENOSYS) and not "not permitted", because the C library then takes an older way, as for clone3.

Source: the kernel's Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/{seccomp,filter,audit}.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Sequence

from edgeai.sandbox.linux import Bounds, syscall
from edgeai.sandbox.policy import Policy
from edgeai.sandbox.syscalls import ALWAYS, CHECKED, SETUP, WRITING, Numbers

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the tables, AUDIT_ARCH_…
_SET_MODE_FILTER = 1
_FOR_ALL_THREADS = 1  # SECCOMP_FILTER_FLAG_TSYNC

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.ENOSYS
_KILL = 0x80000000
_X32_BIT = 0x40000000

_CLONE_THREAD = 0x00010000
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
_PRCTLS = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (how malloc names its memory)

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


class _SockFilter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_SockFilter)))


def restrict(policy: Policy) -> Bounds:
    """Leave all threads of this process the system calls that computing needs."""
    if platform.machine() not in _ARCHITECTURES or sys.byteorder != "little" or sys.maxsize < 2**32:
        return [], [f"system calls (no list for {platform.machine()})"]
    column, arch = _ARCHITECTURES[platform.machine()]
    plain = _numbers(ALWAYS | (WRITING if policy.writable else {}), column)
    program = _program(plain, column, arch)
    filters = (_SockFilter * len(program))(*(_SockFilter(*instruction) for instruction in program))
    number = SETUP["seccomp"][column]
    assert number is not None
    if syscall(number, _SET_MODE_FILTER, _FOR_ALL_THREADS, ctypes.byref(_SockFprog(len(program), filters))):
        return [], [f"system calls (seccomp: {os.strerror(ctypes.get_errno())})"]
    n_allowed = len(plain) + len(CHECKED)
    return [f"{n_allowed} system calls: no sockets, no programs, no processes, no tracing (seccomp)"], []


def _program(plain: Sequence[int], column: int, arch: int) -> list[_Instruction]:
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if column == 0:
        program += [(_JUMP_GREATER_EQUAL, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for number in plain:
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    own = (os.getpid(),)
    for name, values in (("kill", own), ("tgkill", own), ("prctl", _PRCTLS), ("prlimit64", (0, *own))):
        program += _where(CHECKED[name][column], 0, values)
    program += _where(CHECKED["ioctl"][column], 1, _IOCTLS)
    program += _where(CHECKED["clone"][column], 0, (_CLONE_THREAD,), mask=_CLONE_THREAD)
    return [*program, (_RETURN, 0, 0, _REFUSE)]


def _where(number: int | None, argument: int, values: Sequence[int], mask: int | None = None) -> list[_Instruction]:
    """Allow a call whose argument's lower half is one of these values; the kernel looks at no more of them."""
    assert number is not None
    body: list[_Instruction] = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)]
    if mask is not None:
        body.append((_AND, 0, 0, mask))
    for value in values:
        body += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    body.append((_RETURN, 0, 0, _REFUSE))
    return [(_JUMP_EQUAL, 0, len(body), number), *body]


def _numbers(calls: Numbers, column: int) -> list[int]:
    return [number for numbers in calls.values() if (number := numbers[column]) is not None]
