"""Limits are found in control groups of both versions, laid out as the kernel lays them out."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edgeai import cgroup, machine

GIB = 2**30


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = {
    "proc/self/cgroup": "0::/user.slice/app.service\n",
    "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n",
}
V1 = {
    "proc/self/cgroup": "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n",
    "proc/self/mountinfo": (
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    ),
}


def test_v2_takes_the_tightest_group_on_the_way_up(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            **V2,
            "sys/fs/cgroup/user.slice/app.service/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/app.service/memory.current": str(GIB),
            "sys/fs/cgroup/user.slice/app.service/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/memory.max": str(4 * GIB),
            "sys/fs/cgroup/user.slice/memory.current": str(3 * GIB),
            "sys/fs/cgroup/user.slice/memory.stat": f"anon {GIB}\ninactive_file {GIB // 2}\nactive_file 7\n",
            "sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
        },
    )
    assert cgroup.memory_limit(root) == 4 * GIB
    assert cgroup.memory_left(root) == 3 * GIB // 2
    assert cgroup.cpu_quota(root) == 1.5


def test_v2_soft_limit_counts(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/user.slice/app.service"
    files = {f"{folder}/memory.max": "max", f"{folder}/memory.high": str(GIB), f"{folder}/memory.current": "1000"}
    assert cgroup.memory_left(lay_out(tmp_path, {**V2, **files})) == GIB - 1000


def test_v1_in_a_container(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            **V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 * GIB),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(GIB),
            "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 4096\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup.memory_left(root) == GIB + 4096
    assert cgroup.cpu_quota(root) == 2


def test_v1_without_limits(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    root = lay_out(tmp_path, {**V1, **files})
    assert cgroup.memory_left(root) is None
    assert cgroup.memory_limit(root) is None
    assert cgroup.cpu_quota(root) is None


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "nonsense\n0::\n", "proc/self/mountinfo": "1 2\n - cgroup2\n"},
        {**V2, "sys/fs/cgroup/user.slice/memory.max": "many", "sys/fs/cgroup/user.slice/cpu.max": "1 0"},
    ],
)
def test_what_cannot_be_read_limits_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    root = lay_out(tmp_path, files)
    assert cgroup.memory_left(root) is None
    assert cgroup.cpu_quota(root) is None


def test_used_up_group_leaves_nothing(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/user.slice/app.service"
    files = {f"{folder}/memory.max": "1000", f"{folder}/memory.current": "1200"}
    assert cgroup.memory_left(lay_out(tmp_path, {**V2, **files})) == 0


def test_hardware_threads_of_one_core_count_once(tmp_path: Path) -> None:
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = lay_out(tmp_path, {topology.format(cpu): f"{cpu % 4},{cpu % 4 + 4}\n" for cpu in range(8)})
    assert machine.count_cores(range(8), root) == 4
    assert machine.count_cores([0, 4], root) == 1
    assert machine.count_cores([0, 1, 5], root) == 2
    assert machine.count_cores([90, 91], root) == 2  # nothing is known of them: each its own core


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_affinity_and_quota_bound_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    monkeypatch.setattr(machine, "cpu_quota", lambda: None)
    assert machine.usable_cores() == 1
    monkeypatch.setattr(machine, "_allowed_cores", lambda: 8)
    for quota, cores in ((None, 8), (16.0, 8), (3.9, 3), (0.5, 1)):
        monkeypatch.setattr(machine, "cpu_quota", lambda quota=quota: quota)
        assert machine.usable_cores() == cores


def test_available_memory_is_the_lesser_of_machine_and_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_left", lambda: None)
    assert machine.available_memory_bytes() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    monkeypatch.setattr(machine, "memory_left", lambda: 12345)
    assert machine.available_memory_bytes() == 12345


def test_facts_of_this_machine() -> None:
    facts = machine.machine()
    assert facts.cpu_name
    assert 1 <= facts.usable_cores <= facts.logical_cpus
    assert 0 < facts.available_bytes <= facts.memory_bytes <= psutil.virtual_memory().total
    assert facts.python == platform.python_version()
    if platform.machine() == "aarch64":
        assert "neon" in facts.cpu_features


def test_arm_features_have_their_usual_names(tmp_path: Path) -> None:
    text = "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp i8mm\n\nModel\t\t: Raspberry Pi 5 Model B\n"
    root = lay_out(tmp_path, {"proc/cpuinfo": text})
    assert machine._cpu(root) == ("Raspberry Pi 5 Model B", ("neon", "fp16", "dotprod", "i8mm"))


def test_memory_of_processes_is_summed_and_the_dead_hold_none() -> None:
    own = machine.resident_bytes(os.getpid())
    assert own > 10_000_000
    code = "print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    assert machine.resident_bytes(os.getpid(), child.pid, None, os.getpid()) > own + 1_000_000
    child.communicate(b"\n")
    assert machine.resident_bytes(child.pid) == 0
