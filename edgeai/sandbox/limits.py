"""Resource limits: the bounds that every Unix has."""

from __future__ import annotations

import sys
from pathlib import Path

from edgeai.sandbox.policy import Policy

_MIB = 2**20


def set_limits(policy: Policy) -> tuple[list[str], list[str]]:
    """Lower this process's limits; returns what was applied and what is missing, in words."""
    try:
        import resource
    except ImportError:
        return [], ["limits of memory, files and core dumps (this system has none)"]
    wanted = [
        ("no core dumps", "RLIMIT_CORE", 0),
        (f"files written: {policy.file_bytes // _MIB:,} MiB at most", "RLIMIT_FSIZE", policy.file_bytes),
        (f"open files: {policy.open_files} at most", "RLIMIT_NOFILE", policy.open_files),
    ]
    missing = []
    if policy.memory_bytes is None:
        missing.append("a limit of the address space (none was asked for)")
    elif (used := _address_space_bytes()) is None:
        missing.append("a limit of the address space (its present size cannot be told here)")
    else:
        limit = used + policy.memory_bytes
        wanted.append((f"address space: {limit // _MIB:,} MiB at most", "RLIMIT_AS", limit))
    applied = []
    for words, name, limit in wanted:
        try:
            number = getattr(resource, name)
            _soft, hard = resource.getrlimit(number)
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(number, (limit, limit))
            applied.append(words)
        except (AttributeError, OSError, ValueError):
            missing.append(words)
    return applied, missing


def _address_space_bytes() -> int | None:
    if sys.platform != "linux":  # macOS does not enforce RLIMIT_AS
        return None
    import resource

    try:
        n_pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return None
    return n_pages * resource.getpagesize()
