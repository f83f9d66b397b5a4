"""What a sandboxed process may do, and what came of it. Plain data, which may be sent to another process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a process may still do.

    Attributes:
        readable: absolute paths of files and folders that may be read, beside the system's and Python's libraries;
            None sets no bounds to files (a GPU's driver opens what it likes).
        writable: folders that may be read and written.
        memory_bytes: address space that may be added to what the process has; None is without bounds.
        file_bytes: the largest file that may be written.
        open_files: descriptors at most.
    """

    readable: tuple[str, ...] | None = ()
    writable: tuple[str, ...] = ()
    memory_bytes: int | None = None
    file_bytes: int = 0
    open_files: int = 256


@dataclass(frozen=True, slots=True)
class Report:
    """What bounds a process.

    Attributes:
        applied: each bound that is in force, in words.
        missing: each that this system, or the policy, does not have.
    """

    applied: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
