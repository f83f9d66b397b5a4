"""What this machine has, and what of it this process may use."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgeai.cgroup import cpu_quota, memory_left, memory_limit

_FEATURES = {
    **{name: name for name in ("avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16")},
    **{name: name for name in ("amx_int8", "i8mm", "sve", "bf16")},
    **{"asimd": "neon", "neon": "neon", "asimddp": "dotprod", "asimdhp": "fp16"},
}
"""CPU features that llama.cpp has code for: the kernel's name of each, and ours."""

_CPU_NAME_KEYS = ("model name", "Model", "Hardware", "cpu model")


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts about the machine.

    Attributes:
        cpu_name: as the operating system calls it.
        cpu_features: those that llama.cpp has code for (`avx2`, `avx512_vnni`, `neon`, `dotprod` …).
        logical_cpus: hardware threads of the machine.
        usable_cores: physical cores that this process may really use.
        memory_bytes: memory, or the control groups' limit where that is less.
        available_bytes: what of it is free for this process now.
        system: operating system and version.
        python: version.
    """

    cpu_name: str
    cpu_features: tuple[str, ...]
    logical_cpus: int
    usable_cores: int
    memory_bytes: int
    available_bytes: int
    system: str
    python: str


def machine() -> Machine:
    """Look at this machine, now."""
    import psutil

    name, features = _cpu()
    limit = memory_limit()
    total = int(psutil.virtual_memory().total)
    return Machine(
        cpu_name=name,
        cpu_features=features,
        logical_cpus=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        memory_bytes=total if limit is None else min(total, limit),
        available_bytes=available_memory_bytes(),
        system=f"{platform.system()} {platform.release()} ({platform.machine()})",
        python=platform.python_version(),
    )


def available_memory_bytes() -> int:
    """Memory that this process can still take: the machine's, or what its control groups leave, whichever is less."""
    import psutil

    available = int(psutil.virtual_memory().available)
    left = memory_left()
    return available if left is None else min(available, left)


def usable_cores() -> int:
    """Physical cores that this process may really use, at least 1.

    Counts the cores that its affinity allows, hardware threads of one core once, and not more than its control groups
    give it time for: `os.cpu_count()` knows of none of these.
    """
    cores = _allowed_cores()
    quota = cpu_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def _allowed_cores(root: Path = Path("/")) -> int:
    if not hasattr(os, "sched_getaffinity"):
        import psutil

        return psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return count_cores(os.sched_getaffinity(0), root)


def count_cores(cpus: Iterable[int], root: Path = Path("/")) -> int:
    """Physical cores behind hardware threads.

    Args:
        cpus: numbers of the hardware threads.
        root: where /sys is, for tests.
    """
    return len({_siblings(cpu, root) for cpu in cpus})


def _siblings(cpu: int, root: Path) -> str:
    """The hardware threads of a core as text (`0,4`), the same for all of them."""
    try:
        return (root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _cpu(root: Path = Path("/")) -> tuple[str, tuple[str, ...]]:
    """The CPU's name and features."""
    if sys.platform == "darwin":
        features = ("neon", "dotprod") if platform.machine() == "arm64" else ()
        return _sysctl("machdep.cpu.brand_string") or platform.machine(), features
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return platform.processor() or platform.machine(), ()
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = next((fields[key] for key in _CPU_NAME_KEYS if fields.get(key)), "") or platform.machine()
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return name, tuple(dict.fromkeys(_FEATURES[flag] for flag in flags if flag in _FEATURES))


def _sysctl(name: str) -> str:
    try:
        return subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def resident_bytes(*pids: int | None) -> int:
    """Memory that processes hold now, each counted once; one that has ended, or None, holds none."""
    import psutil

    total = 0
    for pid in {pid for pid in pids if pid is not None}:
        try:
            total += int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            continue
    return total
