"""seccomp: which system calls a process can make, and with which arguments.

The filter is a program of classic BPF that the kernel runs before each call. Source: Linux's
Documentation/userspace-api/seccomp_filter.rst, include/uapi/linux/{seccomp,filter,audit}.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Any

from edgeai.sandbox import filters
from edgeai.sandbox.policy import Policy, Report

_MACHINES = {"x86_64": filters.X86_64, "aarch64": filters.AARCH64, "arm64": filters.AARCH64}
_SET_MODE_FILTER = 1
_ALL_THREADS, _KEEP_SPECULATION = 1, 4  # without the second, kernels before 5.16 make the process slower


def this_machine() -> filters.Machine | None:
    """This process's kind of machine; None where its system calls are not known, like those of 32-bit processes."""
    if struct.calcsize("P") != 8 or sys.byteorder != "little":
        return None
    return _MACHINES.get(os.uname().machine)


def restrict(libc: Any, policy: Policy) -> Report:
    """Install the policy's filter in all threads. Needs no_new_privs."""
    machine = this_machine()
    if machine is None:
        return Report(missing=(f"system calls: no filter for {os.uname().machine} processes of this kind",))
    if policy.readable is None:
        rules = filters.lenient(os.getpid())
        phrase = "system calls: no sockets, no programs, no new processes (seccomp)"
        program = filters.program(machine, rules, filters.ALLOW)
        n_allowed = 0
    else:
        rules = filters.strict(os.getpid(), writes=bool(policy.writable))
        program = filters.program(machine, rules, filters.NO_SUCH_CALL)
        n_allowed = sum(name in filters.known_calls(machine) for name in rules)
        phrase = f"system calls: {n_allowed} allowed; no sockets, no programs, no new processes (seccomp)"
    problem = _install(libc, machine, program)
    if problem:
        return Report(missing=(f"system calls: the kernel takes no filter ({problem})",))
    missing = () if n_allowed else ("system calls: all but the most dangerous are allowed, as a GPU's driver needs",)
    return Report((phrase,), missing, n_system_calls=n_allowed)


def _install(libc: Any, machine: filters.Machine, program: list[filters.Instruction]) -> str:
    """Hand a program to the kernel; what went wrong, or ""."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    number = ctypes.c_long(machine.seccomp)
    for flags in (_ALL_THREADS | _KEEP_SPECULATION, _ALL_THREADS):  # the second: kernels before 4.17
        status = libc.syscall(number, ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(flags), header)
        if status == 0:
            return ""
        problem = f"thread {status} has another filter" if status > 0 else os.strerror(ctypes.get_errno())
    return problem
