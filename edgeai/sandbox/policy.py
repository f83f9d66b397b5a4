"""What a sandboxed process may do, and what became of it: plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a process may do.

    Attributes:
        readable: absolute paths of files and folders that may be read, beside those of `runtime_paths`. None: no
            rules for files, and only the most dangerous system calls refused. A GPU's driver needs that.
        writable: folders in which files may be read, written, made, renamed and removed.
        memory_bytes: address space that the process may add to what it has when it enters; None: no limit.
        file_bytes: the largest size to which it may write a file.
        open_files: how many files it may have open.
    """

    readable: tuple[str, ...] | None = ()
    writable: tuple[str, ...] = ()
    memory_bytes: int | None = None
    file_bytes: int = 0
    open_files: int = 256


@dataclass(frozen=True, slots=True)
class Report:
    """What was applied and what is missing, each a short phrase for people.

    Attributes:
        applied: restrictions that hold.
        missing: restrictions that this kernel or platform lacks, or that the policy gave up.
        landlock_abi: version of Landlock's interface; 0: no file rules.
        n_system_calls: system calls that are allowed; 0: no list of allowed ones.
    """

    applied: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    landlock_abi: int = 0
    n_system_calls: int = 0
