"""The filters' numbers are the kernel's, and the programs decide as the rules say, on every processor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeai.sandbox import filters
from edgeai.sandbox.filters import AARCH64, ALLOW, NO_SUCH_CALL, X86_64, Instruction, Machine
from edgeai.sandbox.syscalls import NUMBERS

HEADERS = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h"))
OTHER_NAMES = {"fstatat": "newfstatat"}
PID = 4321
MACHINES = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
ALLOWED, EPERM, EACCES, ENOSYS, KILLED = 0x7FFF0000, 0x50001, 0x5000D, 0x50026, 0x80000000
THREAD = 0x3D0F00  # what glibc's pthread_create hands to clone


def decide(program: list[Instruction], machine: Machine, number: int, *arguments: int) -> int:
    """What a program returns for a call: classic BPF as the kernel runs it."""
    words = [number, machine.architecture, 0, 0]
    for argument in (*arguments, *(0,) * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = program[position]
        position += 1
        if code == 0x20:
            accumulator = words[operand // 4]
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: accumulator & operand}[code]
            position += if_true if holds else if_false


def strict(machine: Machine, *, writes: bool = False) -> list[Instruction]:
    return filters.program(machine, filters.strict(PID, writes=writes), NO_SUCH_CALL)


@pytest.mark.parametrize("column", [0, 1], ids=["x86_64", "aarch64"])
def test_numbers_are_the_kernels(column: int) -> None:
    if not HEADERS[column].exists():
        pytest.skip(f"{HEADERS[column]} is not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[column].read_text())
    kernel = {OTHER_NAMES.get(name, name): int(number) for name, number in found}
    for name, numbers in NUMBERS.items():
        assert numbers[column] == kernel.get(name), name
    assert (X86_64, AARCH64)[column].seccomp == kernel["seccomp"]


@MACHINES
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("read", (0,), ALLOWED),
        ("futex", (), ALLOWED),
        ("openat", (-100, 0, 0o2000000), ALLOWED),
        ("openat", (-100, 0, 0o2000001), EACCES),
        ("openat", (-100, 0, 0o100), EACCES),
        ("clone", (THREAD,), ALLOWED),
        ("clone", (17,), EPERM),
        ("clone", (0x4100 | 17,), EPERM),
        ("clone", (THREAD | 0x20000,), EPERM),
        ("clone3", (), ENOSYS),
        ("kill", (PID, 6), ALLOWED),
        ("kill", (PID + 1, 6), EPERM),
        ("kill", (-1, 6), EPERM),
        ("tgkill", (PID, PID + 5, 6), ALLOWED),
        ("tgkill", (1, 1, 9), EPERM),
        ("prlimit64", (0, 3, 0, 0x7F0000000000), ALLOWED),
        ("prlimit64", (0, 3, 0x7F0000000000, 0), EPERM),
        ("prlimit64", (0, 3, 0x7F, 0), EPERM),
        ("prlimit64", (PID + 1, 3, 0, 0), EPERM),
        ("fcntl", (0, 1030), ALLOWED),
        ("fcntl", (0, 8), EPERM),
        ("ioctl", (0, 0x5401), ALLOWED),
        ("ioctl", (0, 0x5412), EPERM),  # TIOCSTI
        ("prctl", (51,), ALLOWED),  # PR_SVE_GET_VL, which ggml reads
        ("prctl", (4, 1), EPERM),
        ("socket", (), ENOSYS),
        ("execve", (), ENOSYS),
        ("unlinkat", (), ENOSYS),
        ("ptrace", (), ENOSYS),
    ],
)
def test_strict_decisions(machine: Machine, name: str, arguments: tuple[int, ...], expected: int) -> None:
    number = NUMBERS[name][machine.column]
    assert number is not None
    assert decide(strict(machine), machine, number, *arguments) == expected


@MACHINES
def test_writing_is_allowed_only_when_it_is_wanted(machine: Machine) -> None:
    for name in ("unlinkat", "renameat", "mkdirat", "ftruncate"):
        number = NUMBERS[name][machine.column]
        assert number is not None
        assert decide(strict(machine), machine, number) == ENOSYS
        assert decide(strict(machine, writes=True), machine, number) == ALLOWED
    assert decide(strict(machine, writes=True), machine, NUMBERS["openat"][machine.column] or 0, 0, 0, 0o101) == ALLOWED


@MACHINES
def test_every_other_call_does_not_exist(machine: Machine) -> None:
    rules = filters.strict(PID, writes=True)
    known = {NUMBERS[name][machine.column] for name in rules}
    program = strict(machine, writes=True)
    others = [number for number in range(1000) if number not in known]
    assert {decide(program, machine, number, PID) for number in others} == {ENOSYS}
    assert len(others) > 880


@MACHINES
def test_lenient_decisions(machine: Machine) -> None:
    program = filters.program(machine, filters.lenient(PID), ALLOW)

    def result(name: str, *arguments: int) -> int:
        number = NUMBERS[name][machine.column]
        assert number is not None
        return decide(program, machine, number, *arguments)

    assert result("ioctl", 0, 0x12345678) == ALLOWED
    assert decide(program, machine, 999) == ALLOWED
    assert result("clone", THREAD) == ALLOWED
    assert result("clone3") == ENOSYS
    for name in ("socket", "socketpair", "execve", "execveat", "ptrace", "mount", "bpf", "io_uring_setup", "setns"):
        assert result(name) == EPERM
    assert result("clone", 17) == result("kill", PID + 1) == EPERM


def test_calls_of_other_processors_end_the_process() -> None:
    for machine, other in ((X86_64, AARCH64), (AARCH64, X86_64)):
        i386 = machine._replace(architecture=0x40000003)
        assert decide(strict(machine), other, 0) == decide(strict(machine), i386, 0) == KILLED


@pytest.mark.parametrize("rules", [filters.strict(PID, writes=True), filters.lenient(PID)], ids=["strict", "lenient"])
def test_x32_calls_do_not_exist(rules: filters.Rules) -> None:
    program = filters.program(X86_64, rules, ALLOW)
    assert {decide(program, X86_64, 0x40000000 + number) for number in range(600)} == {ENOSYS}
    assert decide(program, X86_64, 0xFFFFFFFF) == ENOSYS


@MACHINES
def test_programs_are_sound(machine: Machine) -> None:
    """As the kernel checks: short enough, no jump out of the program, a return at its end."""
    for program in (strict(machine, writes=True), filters.program(machine, filters.lenient(PID), ALLOW)):
        assert len(program) <= 4096
        assert program[-1][0] == 0x06
        for position, (_, if_true, if_false, _) in enumerate(program[:-1]):
            assert max(if_true, if_false) < 256
            assert position + 1 + max(if_true, if_false) < len(program)
