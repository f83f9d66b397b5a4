"""The limits that a container, a systemd slice or `ulimit`-like tools set through Linux control groups.

A process in a container sees all of the machine's memory and cores in the usual places; what it may use stands in its
control group and in every group above it. Both versions are read, also side by side ("hybrid").

Source: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_V1_UNLIMITED = 2**60  # version 1 writes 2^63 rounded down to a page


@dataclass(frozen=True, slots=True)
class Group:
    """One control group's folder, and whether it is of version 2."""

    path: Path
    is_v2: bool

    def read(self, name: str) -> str:
        """A file of the group, "" where there is none."""
        try:
            return (self.path / name).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def number(self, name: str) -> int | None:
        """A file that holds one number; None for "max" and for what is missing."""
        text = self.read(name)
        return int(text) if text.lstrip("-").isdigit() else None


def memory_left(root: Path = Path("/")) -> int | None:
    """Bytes that the control groups leave to this process; None where nothing limits it."""
    left = [_memory_left(group) for group in _groups("memory", root)]
    return min((n_bytes for n_bytes in left if n_bytes is not None), default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """The smallest limit of all groups, bytes; None where there is none."""
    limits = [_memory_limit(group) for group in _groups("memory", root)]
    return min((limit for limit in limits if limit is not None), default=None)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores' worth of time that this process may use; None where nothing limits it."""
    quotas = [_cpu_quota(group) for group in _groups("cpu", root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _memory_limit(group: Group) -> int | None:
    names = ("memory.max", "memory.high") if group.is_v2 else ("memory.limit_in_bytes",)
    limits = [group.number(name) for name in names]
    return min((limit for limit in limits if limit is not None and limit < _V1_UNLIMITED), default=None)


def _memory_left(group: Group) -> int | None:
    limit = _memory_limit(group)
    used = group.number("memory.current" if group.is_v2 else "memory.usage_in_bytes")
    if limit is None or used is None:
        return limit
    # file cache counts as used, but the kernel gives up the inactive part before it refuses memory
    key = "inactive_file" if group.is_v2 else "total_inactive_file"
    fields = dict(line.split(" ", 1) for line in group.read("memory.stat").splitlines() if " " in line)
    cached = fields.get(key, "0")
    return max(0, limit - used + (int(cached) if cached.isdigit() else 0))


def _cpu_quota(group: Group) -> float | None:
    if group.is_v2:
        quota, _, period = group.read("cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            return int(quota) / int(period)
        return None
    quota_us, period_us = group.number("cpu.cfs_quota_us"), group.number("cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _groups(controller: str, root: Path) -> Iterator[Group]:
    """The groups that this process is in for a controller, and those above them."""
    for is_v2, mount_root, mount_point in _mounts(controller, root):
        own = _own_group(controller if not is_v2 else "", root)
        if own is None:
            continue
        try:
            below = own.relative_to(mount_root)
        except ValueError:  # mounted from elsewhere: a container that sees its own group as the root
            below = PurePosixPath()
        folder = root / mount_point.relative_to("/") / below
        for path in (folder, *folder.parents[: len(below.parts)]):
            yield Group(path, is_v2)


def _mounts(controller: str, root: Path) -> Iterator[tuple[bool, PurePosixPath, PurePosixPath]]:
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        parts, kind = fields.split(), rest.split()
        if len(parts) < 5 or len(kind) < 3 or not parts[4].startswith("/"):
            continue
        is_v2 = kind[0] == "cgroup2"
        if is_v2 or (kind[0] == "cgroup" and controller in kind[2].split(",")):
            yield is_v2, PurePosixPath(parts[3]), PurePosixPath(parts[4])


def _own_group(controller: str, root: Path) -> PurePosixPath | None:
    """This process's path in a hierarchy; version 2's is the one without controllers."""
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if (controller in controllers.split(",") if controller else not controllers) and path.startswith("/"):
            return PurePosixPath(path)
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
