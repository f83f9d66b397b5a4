"""A Hugging Face folder to an ONNX folder: `quantize`, and ONNX Runtime GenAI's model builder.

Whole processes in turns, from start to end, on a checkpoint that is out of the system's cache.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.onnx_artifacts import Peer, build_onnx, folder_bytes, graph_bytes
from benchmarks.quantize_limit import forget
from benchmarks.quantize_models import Source
from benchmarks.quantize_process import Run, measured
from benchmarks.quantize_report import median

TIME_TARGET, MEMORY_TARGET = 0.5, 0.35  # ours / theirs, at most
SIZE_TARGETS = {4: 1.0, 8: 0.6}
_POLL_S = 0.1


@dataclass(slots=True)
class Side:
    """A run a round.

    Attributes:
        runs: peak_bytes is of all processes together.
        graph_bytes: of the artifact's graph and weights.
        folder_bytes: of all of the artifact.
    """

    runs: list[Run] = field(default_factory=list)
    graph_bytes: int = 0
    folder_bytes: int = 0


Found = dict[int, dict[str, Side]]
"""By bits, then "ours" and "theirs"."""


class TreePeak:
    """The most memory that a program and its children had together, looked at while they live.

    They are this process's grandchildren: `measured` starts them through a small Python.
    """

    def __init__(self) -> None:
        self.n_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> TreePeak:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_POLL_S):
            found = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    found += child.memory_info().rss if child.ppid() != os.getpid() else 0
                except psutil.Error:  # it has just ended
                    continue
            self.n_bytes = max(self.n_bytes, found)


def measure(source: Source, work: Path, bits: Sequence[int], n_rounds: int, n_threads: int, peer: Peer | None) -> Found:
    """Rounds of both sides; every other round the peer begins."""
    sides = ("ours", "theirs") if peer else ("ours",)
    found = {n: {side: Side() for side in sides} for n in bits}
    for number in range(n_rounds):
        for n in bits:
            for side in sides[:: -1 if number % 2 else 1]:
                with tempfile.TemporaryDirectory(prefix="build-", dir=work) as name:
                    out = Path(name) / "out"
                    theirs = peer.build(source.folder, out, n) if peer and side == "theirs" else None
                    _add(found[n][side], source, theirs or build_onnx(source.folder, out, n, n_threads), out)
    return found


def _add(side: Side, source: Source, command: list[str], out: Path) -> None:
    os.sync()  # what the last one wrote does not disturb the next
    forget(source.weights)
    with TreePeak() as tree:
        run = measured(command)
    side.runs.append(run._replace(peak_bytes=max(run.peak_bytes, tree.n_bytes)))
    side.graph_bytes, side.folder_bytes = graph_bytes(out), folder_bytes(out)


def ratio(sides: Mapping[str, Side], name: str) -> float | None:
    """The median over the rounds of ours / theirs; None without a peer."""
    if "theirs" not in sides:
        return None
    pairs = zip(sides["ours"].runs, sides["theirs"].runs, strict=True)
    return float(statistics.median(getattr(ours, name) / getattr(theirs, name) for ours, theirs in pairs))


def lines(source: Source, found: Found) -> list[str]:
    """Tables of medians, and what they are held against."""
    text = [f"{source.name}: {source.n_bytes / 1e6:,.0f} MB"]
    for bits, sides in found.items():
        text.append(f"  {bits} bits, {len(sides['ours'].runs)} rounds, medians")
        text.append(f"    {'':<34}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'graph MB':>10}{'folder MB':>11}")
        for side, name in (("ours", "quantize --format onnx"), ("theirs", "GenAI's model builder")):
            if side in sides:
                text.append(f"    {name:<34}{_row(sides[side])}")
        text += _judged(bits, sides)
    return text


def _row(side: Side) -> str:
    run = median(side.runs)
    sizes = f"{side.graph_bytes / 1e6:>10.1f}{side.folder_bytes / 1e6:>11.1f}"
    return f"{run.wall_s:>9.2f}{run.cpu_s:>9.2f}{run.peak_bytes / 1e6:>9,.0f}{sizes}"


def _judged(bits: int, sides: Mapping[str, Side]) -> Iterator[str]:
    time, memory = ratio(sides, "wall_s"), ratio(sides, "peak_bytes")
    if time is not None and memory is not None:
        size = sides["ours"].graph_bytes / sides["theirs"].graph_bytes
        yield (
            f"    ours / theirs: time {time:.2f} (at most {TIME_TARGET}), peak memory {memory:.2f} "
            f"(at most {MEMORY_TARGET}), size {size:.3f} (at most {SIZE_TARGETS[bits]})"
        )


def as_dict(found: Found) -> dict[str, Any]:
    """Everything, for programs."""
    return {str(bits): _plain(sides) for bits, sides in found.items()}


def _plain(sides: Mapping[str, Side]) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: {
            "runs": [run._asdict() for run in side.runs],
            "graph_bytes": side.graph_bytes,
            "folder_bytes": side.folder_bytes,
        }
        for name, side in sides.items()
    }
    return plain | {"time_ratio": ratio(sides, "wall_s"), "memory_ratio": ratio(sides, "peak_bytes")}
