"""Resource limits: memory, files, core dumps. POSIX; Windows has none of these."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.sandbox.policy import Policy, Report

if TYPE_CHECKING or sys.platform != "win32":
    import resource


def limit(policy: Policy) -> Report:
    """Set the limits, for ever: an unprivileged process cannot raise them again."""
    if sys.platform == "win32":
        return Report(missing=("memory, open files, core dumps: no limits on Windows",))
    applied: list[str] = []
    missing: list[str] = []

    def set_limit(kind: int, value: int, phrase: str) -> None:
        (applied if _lower(kind, value) else missing).append(phrase)

    with contextlib.suppress(ValueError):  # not in the main thread: Python has ignored it from the start
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails instead
    set_limit(resource.RLIMIT_CORE, 0, "core dumps: none")
    size = f"{policy.file_bytes:,} bytes at most" if policy.file_bytes else "none"
    set_limit(resource.RLIMIT_FSIZE, policy.file_bytes, f"size of files written: {size}")
    set_limit(resource.RLIMIT_NOFILE, policy.open_files, f"open files: {policy.open_files} at most")
    if policy.memory_bytes is not None:
        used_bytes = _address_space_bytes()
        if used_bytes is None:
            missing.append("memory: the address space in use is not known here, so it has no limit")
        else:
            set_limit(resource.RLIMIT_AS, used_bytes + policy.memory_bytes, "memory: a limited address space")
    return Report(tuple(applied), tuple(missing))


def _lower(kind: int, value: int) -> bool:
    """Lower a limit, soft and hard; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _address_space_bytes() -> int | None:
    """Address space in use. macOS tells none, and enforces no limit of it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
