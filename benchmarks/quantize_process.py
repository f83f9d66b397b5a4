"""Run a program to its end: how long it took, and how much memory it had at most.

A child begins with its parent's peak memory (the kernel keeps that over exec), so the program is started by a small
Python that does nothing else: this file, with the standard library's lightest parts. What it needs itself, about
10 MB, is the least that can be measured.

    run = measured(["quantize", "--bits", "4", "folder"])
    run.wall_s, run.peak_bytes
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

_RUSAGE_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one of ru_maxrss
_SAMPLE_S = 0.02


class Run(NamedTuple):
    """What a process cost.

    Attributes:
        wall_s: from start to end.
        cpu_s: of all its threads, in user and kernel mode.
        peak_bytes: the most memory that was resident, with the pages of files that it mapped.
        own_bytes: the same without the pages of files, sampled; 0 where the system does not say (Linux does).
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    own_bytes: int


def measured(command: Sequence[str]) -> Run:
    """Run a command, its output kept off the terminal.

    Raises:
        RuntimeError: it failed; with the end of its output.
    """
    with tempfile.TemporaryFile() as output:
        starter = [sys.executable, "-I", "-S", __file__, *command]
        done = subprocess.run(starter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, check=False)
        if done.returncode:
            output.seek(0)
            said = output.read().decode("utf-8", "replace").strip()
            raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {said[-600:]}")
    wall_s, cpu_s, peak, own = done.stdout.split()
    return Run(float(wall_s), float(cpu_s), int(peak), int(own))


def _own_peak(pid: int, ended: threading.Event, peaks: list[int]) -> None:
    while not ended.wait(_SAMPLE_S):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123  # a light one
                sizes = [int(line.split()[1]) for line in file if line.startswith(("RssAnon", "RssShmem"))]
        except OSError:
            return
        peaks.append(1024 * sum(sizes))


def _main(command: Sequence[str]) -> int:
    peaks, ended = [0], threading.Event()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr)
    sampler = threading.Thread(target=_own_peak, args=(process.pid, ended, peaks))
    sampler.start()
    code = process.wait()
    wall_s = time.perf_counter() - started
    ended.set()
    sampler.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * _RUSAGE_UNIT, max(peaks))
    return code if code >= 0 else 128 - code  # of a signal, as shells say it


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
