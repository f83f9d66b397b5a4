"""The campaign in short: one or two trials of each kind. `python -m benchmarks.faults` is the long form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fault_trials import TRIALS
from benchmarks.faults import campaign

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

NEED_A_DISK = ("full disk", "read-only folder")
COUNTS = {"damaged files": 15, "crafted files": 45, "starts": 20, "engine killed": 6}


def can_mount() -> bool:
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("name", TRIALS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    if name in NEED_A_DISK and not can_mount():
        pytest.skip("this system gives no mount namespaces")
    count = COUNTS.get(name, 2)
    tallies = campaign([name], seed=3, count=count, minutes=3, state=tmp_path / "state.json")
    assert not tallies[name].violations
    assert tallies[name].n_tried == count
    again = campaign([name], seed=3, count=count, minutes=3, state=tmp_path / "state.json")
    assert again == tallies, "it goes on from where it was, and there was nothing left to do"
