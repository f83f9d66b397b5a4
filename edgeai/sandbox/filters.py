"""The rules of the system call filters, and the programs of classic BPF that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgeai.sandbox.syscalls import NUMBERS

Instruction = tuple[int, int, int, int]
"""Operation, instructions to skip when true, when false, operand."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_EPERM, _EACCES, _ENOSYS = 1, 13, 38  # Linux's numbers, on any system


def _errno(number: int) -> Instruction:
    return (_RETURN, 0, 0, 0x00050000 | number)


ALLOW: Instruction = (_RETURN, 0, 0, 0x7FFF0000)
NO_SUCH_CALL = _errno(_ENOSYS)
"""What C libraries take well: they fall back to an older call."""
_REFUSE = _errno(_EPERM)
_KILL: Instruction = (_RETURN, 0, 0, 0x80000000)

_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
_X32_BIT = 0x40000000


class Machine(NamedTuple):
    """A processor: its column in the table of numbers, its audit number, its number of `seccomp`."""

    column: int
    architecture: int
    seccomp: int


X86_64 = Machine(0, 0xC000003E, 317)
AARCH64 = Machine(1, 0xC00000B7, 277)

Rules = Mapping[str, list[Instruction]]
"""By a call's name: what to do. The last instruction returns on every path."""

_COMPUTING = (
    *("brk", "mmap", "mprotect", "munmap", "mremap", "madvise", "mincore", "msync", "mlock", "mlock2", "munlock"),
    *("futex", "set_robust_list", "set_tid_address", "rseq", "gettid", "exit", "exit_group", "membarrier", "getcpu"),
    *("sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler"),
    *("sched_get_priority_max", "sched_get_priority_min"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend"),
    *("sigaltstack", "restart_syscall"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "getrusage"),
    *("uname", "sysinfo", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "getrlimit"),
)
_READING = (
    *("read", "readv", "pread64", "preadv", "lseek", "close", "dup", "dup2", "dup3", "fadvise64", "readahead"),
    *("stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2"),
    *("readlink", "readlinkat", "getcwd", "getdents64", "poll", "ppoll", "select", "pselect6"),
    *("write", "writev", "pwrite64", "pwritev"),  # to what is open
)
_WRITING = (
    *("open", "openat", "ftruncate", "fallocate", "fsync", "fdatasync", "rename", "renameat", "renameat2"),
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "umask"),
)
_DANGEROUS = (
    *("socket", "socketpair", "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv"),
    *("process_vm_writev", "process_madvise", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "userfaultfd"),
    *("mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("pivot_root", "chroot", "setns", "unshare", "keyctl", "add_key", "request_key", "open_by_handle_at"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("swapon", "swapoff", "ioperm", "iopl", "rt_sigqueueinfo", "rt_tgsigqueueinfo"),
)

# CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID, DETACHED (by musl)
_THREAD_FLAGS = 0x7D0F00
_CLONE_THREAD = 0x10000
_OPEN_TO_WRITE = 0o3 | 0o100 | 0o1000  # O_WRONLY and O_RDWR, O_CREAT, O_TRUNC; O_TMPFILE comes with the first
_FCNTL = (0, 1, 2, 3, 4, 1030)  # duplicate, get and set flags: not F_SETOWN and F_SETSIG, which send signals
_IOCTL = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # is it a terminal, its size; FIO*
_PRCTL = (15, 16, 51, 64, 0x53564D41)  # names of threads, vector lengths (aarch64), names of memory
_ARCH_PRCTL = (0x1021, 0x1022, 0x1023)  # permission to use AMX


def strict(pid: int, *, writes: bool) -> Rules:
    """Calls that a process which computes and reads files needs; all others are to be refused.

    Found by tracing llama.cpp, OpenMP, numpy and CPython, plus what they call on other kernels and C libraries.

    Args:
        pid: of the process, which may send signals to itself only.
        writes: whether it may write to files, as far as Landlock lets it.
    """
    names = (*_COMPUTING, *_READING, *(_WRITING if writes else ()))
    rules = {name: [ALLOW] for name in names}
    if not writes:
        rules["open"] = _unless_bits(1, _OPEN_TO_WRITE, _errno(_EACCES))
        rules["openat"] = _unless_bits(2, _OPEN_TO_WRITE, _errno(_EACCES))
    return {
        **rules,
        **_own_process_only(pid),
        "fcntl": _one_of(1, _FCNTL),
        "ioctl": _one_of(1, _IOCTL),
        "prctl": _one_of(0, _PRCTL),
        "arch_prctl": _one_of(0, _ARCH_PRCTL),
    }


def lenient(pid: int) -> Rules:
    """Calls that even a GPU's driver does not need; all others are to be allowed."""
    return {
        **{name: [_REFUSE] for name in _DANGEROUS},
        **_own_process_only(pid),
        "clone3": [NO_SUCH_CALL],  # its arguments lie in memory, where no filter can look: `clone` is called instead
    }


def known_calls(machine: Machine) -> frozenset[str]:
    """Names of the calls that exist on a machine."""
    return frozenset(name for name, numbers in NUMBERS.items() if numbers[machine.column] is not None)


def program(machine: Machine, rules: Rules, otherwise: Instruction) -> list[Instruction]:
    """The filter that follows rules, and does `otherwise` for calls that have none."""
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, machine.architecture),
        _KILL,  # 32-bit calls have other numbers
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine is X86_64:
        code += [(_AT_LEAST, 0, 1, _X32_BIT), NO_SUCH_CALL]
    for name, actions in rules.items():
        number = NUMBERS[name][machine.column]
        if number is not None:
            code += [(_EQUAL, 0, len(actions), number), *actions]
    return [*code, otherwise]


def _own_process_only(pid: int) -> Rules:
    """Threads but no processes; signals, limits and cores of this process only."""
    return {
        "clone": [
            _load(0),
            *((_ANY_BIT, 0, 1, ~_THREAD_FLAGS & 0xFFFFFFFF), _REFUSE),
            *((_ANY_BIT, 0, 1, _CLONE_THREAD), ALLOW, _REFUSE),
        ],
        "kill": _one_of(0, (pid,)),
        "tgkill": _one_of(0, (pid,)),
        "tkill": _one_of(0, (pid,)),  # musl's raise() in the main thread
        # of the caller only: whose another number is cannot be told (so OpenMP must not bind its threads to cores)
        "sched_setaffinity": _one_of(0, (0,)),
        "prlimit64": [*_zero(0), *_zero(2), *_zero(2, high=True), ALLOW],  # reads limits, sets none
    }


def _load(argument: int, *, high: bool = False) -> Instruction:
    """Read half of an argument, which has 64 bits, little-endian; where the kernel takes an int, the low half is it."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument + 4 * high)


def _zero(argument: int, *, high: bool = False) -> list[Instruction]:
    return [_load(argument, high=high), (_EQUAL, 1, 0, 0), _REFUSE]


def _one_of(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [instruction for value in values for instruction in ((_EQUAL, 0, 1, value), ALLOW)]
    return [_load(argument), *tests, _REFUSE]


def _unless_bits(argument: int, bits: int, refusal: Instruction) -> list[Instruction]:
    return [_load(argument), (_ANY_BIT, 0, 1, bits), refusal, ALLOW]
