"""What the benchmarks share: the model, the machine's name, medians, a table of ratios."""

from __future__ import annotations

import json
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgeai.catalog import Catalog
from edgeai.machine import machine

TEXT = (
    "The history of the sea begins with the first rivers. People who lived near the coast told stories of storms and "
    "of long journeys, of boats that came back and of boats that did not. "
)


def model_path() -> Path:
    """The default model's file."""
    return Catalog.load().resolve(None).path


def print_machine() -> None:
    """Where the figures were measured."""
    here = machine()
    print(f"{here.cpu_name}, {here.usable_cores} cores, {platform.system()}, Python {platform.python_version()}")


def ratio_lines(title: str, figures: Mapping[str, Sequence[float]], ours: str, *, higher_is_better: bool) -> list[str]:
    """A block of medians and of our ratio to each peer, over rounds that were run side by side.

    Args:
        title: what was measured, with its unit.
        figures: one figure a round for each contender, in the same order of rounds.
        ours: the contender that is compared.
        higher_is_better: so that a ratio over 1 always means that we are better.
    """
    lines = [title]
    for name, values in figures.items():
        line = f"  {name:<34} {statistics.median(values):>10.1f}"
        if name != ours:
            pairs = [(a, b) if higher_is_better else (b, a) for a, b in zip(figures[ours], values, strict=True)]
            line += f"   ours / this: {statistics.median(a / b for a, b in pairs):.3f}"
        lines.append(line)
    return lines


@contextmanager
def one_busy_process() -> Iterator[None]:
    """Another process that computes all the time."""
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        process.kill()
        process.join()


def _spin() -> None:
    while True:
        sum(range(100_000))


def main_json(result: Mapping[str, object]) -> None:
    """Print a result for scripts."""
    json.dump(result, sys.stdout, indent=2)
    print()
