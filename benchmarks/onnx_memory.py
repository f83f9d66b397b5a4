"""The most memory that a running chat takes: a Session's processes together, and ONNX Runtime GenAI's one (Linux).

Every contender is started afresh for every round, has room for as many tokens, evaluates a prompt and goes on with it.
The peaks of a Session's two processes are added, so that the libraries they share count twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.common import ratio_lines
from benchmarks.isolation import peak_rss_mib
from benchmarks.onnx_run import OURS, Contender


class Peak(NamedTuple):
    """Peak resident memory of each process, MiB."""

    processes: list[float]

    @property
    def mib(self) -> float:
        """Of all."""
        return sum(self.processes)


Found = dict[str, list[Peak]]


def measure(commands: Mapping[str, Sequence[str]], prompt: str, n_new: int, n_rounds: int) -> Found:
    """Rounds of all contenders."""
    found: Found = {name: [] for name in commands}
    for _ in range(n_rounds):
        for name, command in commands.items():
            with Contender(command) as contender:
                asked = contender.ask(prompt, n_new)
                found[name].append(Peak([peak_rss_mib(pid) for pid in asked.pids]))
    return found


def lines(bits: int, found: Found) -> list[str]:
    """Medians, ours against the others'."""
    peaks = {name: [peak.mib for peak in rounds] for name, rounds in found.items()}
    title = f"{bits} bits: peak resident memory of a chat, MiB (ours / this over 1: ours takes less)"
    parts = " + ".join(f"{mib:.0f}" for mib in found[OURS][-1].processes)
    return [*ratio_lines(title, peaks, OURS, higher_is_better=False), f"  {OURS}: {parts}"]
