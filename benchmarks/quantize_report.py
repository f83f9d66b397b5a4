"""What `benchmarks.quantize` says of its figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.quantize_limit import Limit
from benchmarks.quantize_models import Source
from benchmarks.quantize_process import Run

TIME_TARGET = 0.5  # ours / theirs, at most
MEMORY_TARGET = 0.25
FIXED_BYTES = 200_000_000


@dataclass(slots=True)
class Figures:
    """One checkpoint and mix: a run a round for each.

    Attributes:
        ours: `quantize`.
        first: the converter.
        second: llama.cpp's quantizer.
        artifact_bytes: of the artifact.
        is_same: whether the artifacts have the same bytes; None where there is one alone.
        limit: the least that it can take.
    """

    ours: list[Run] = field(default_factory=list)
    first: list[Run] = field(default_factory=list)
    second: list[Run] = field(default_factory=list)
    artifact_bytes: int = 0
    is_same: bool | None = None
    limit: Limit | None = None

    @property
    def both(self) -> list[Run]:
        """The two steps together: their times are added, of their memory it is the larger."""
        return [
            Run(a.wall_s + b.wall_s, a.cpu_s + b.cpu_s, max(a.peak_bytes, b.peak_bytes), max(a.own_bytes, b.own_bytes))
            for a, b in zip(self.first, self.second, strict=True)
        ]

    def ratio(self, of: Callable[[Run], float]) -> float | None:
        """The median over the rounds of ours / theirs; None without a peer."""
        pairs = list(zip(self.ours, self.both, strict=False))
        return statistics.median(of(ours) / of(theirs) for ours, theirs in pairs) if pairs else None


def bound_bytes(source: Source) -> int:
    """What `quantize` may take at most: twice its largest tensor as float32, and the program itself."""
    return 2 * source.largest_f32_bytes + FIXED_BYTES


def lines(source: Source, figures: Mapping[str, Figures]) -> list[str]:
    """Tables of medians, and what they are held against."""
    found = [f"{source.name}: {source.n_bytes / 1e6:,.0f} MB"]
    for ftype, ours in figures.items():
        found += [f"  {ftype}, {len(ours.ours)} rounds, medians", *_table(ours), *_judged(source, ours)]
    return found


def _table(figures: Figures) -> Iterator[str]:
    yield f"    {'':<34}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'own MB':>9}"
    rows = {
        "quantize": figures.ours,
        "convert_hf_to_gguf.py": figures.first,
        "llama_model_quantize": figures.second,
        "the official two steps": figures.both,
    }
    for name, runs in rows.items():
        if runs:
            run = median(runs)
            memory = f"{run.peak_bytes / 1e6:>9,.0f}{run.own_bytes / 1e6:>9,.0f}"
            yield f"    {name:<34}{run.wall_s:>9.2f}{run.cpu_s:>9.2f}{memory}"


def _judged(source: Source, figures: Figures) -> Iterator[str]:
    time, cpu = figures.ratio(lambda run: run.wall_s), figures.ratio(lambda run: run.cpu_s)
    memory = figures.ratio(lambda run: run.peak_bytes)
    if time is not None and cpu is not None and memory is not None:
        same = "the same bytes" if figures.is_same else "OTHER BYTES"
        yield (
            f"    ours / theirs: time {time:.2f} (at most {TIME_TARGET}), CPU {cpu:.2f}, "
            f"peak memory {memory:.2f} (at most {MEMORY_TARGET}), {same}"
        )
    peak, bound = max(run.peak_bytes for run in figures.ours), bound_bytes(source)
    yield (
        f"    peak memory {peak / 1e6:,.0f} MB, bound 2 × {source.largest_f32_bytes / 1e6:,.0f} MB + "
        f"{FIXED_BYTES / 1e6:,.0f} MB = {bound / 1e6:,.0f} MB: {'held' if peak <= bound else 'BROKEN'}"
    )
    if limit := figures.limit:
        wall_s = median(figures.ours).wall_s
        yield (
            f"    limit: read {limit.read_s:.2f} s, kernels {limit.kernels_s:.2f} s, write {limit.write_s:.2f} s; "
            f"in turn {limit.in_turn_s:.2f} s, ours / it {wall_s / limit.in_turn_s:.2f}; "
            f"at once {limit.at_once_s:.2f} s, ours / it {wall_s / limit.at_once_s:.2f}"
        )


def median(runs: Sequence[Run]) -> Run:
    """Of each figure by itself."""
    wall_s, cpu_s, peak, own = (statistics.median(values) for values in zip(*runs, strict=True))
    return Run(wall_s, cpu_s, int(peak), int(own))


def as_dict(source: Source, figures: Mapping[str, Figures]) -> dict[str, Any]:
    """Everything, for programs."""
    facts = {"name": source.name, "bytes": source.n_bytes, "bound_bytes": bound_bytes(source)}
    return facts | {ftype: _mix(ours) for ftype, ours in figures.items()}


def _mix(figures: Figures) -> dict[str, Any]:
    runs = {"quantize": figures.ours, "convert": figures.first, "llama_model_quantize": figures.second}
    return {
        **{name: [run._asdict() for run in each] for name, each in runs.items()},
        "artifact_bytes": figures.artifact_bytes,
        "same_bytes": figures.is_same,
        "time_ratio": figures.ratio(lambda run: run.wall_s),
        "cpu_ratio": figures.ratio(lambda run: run.cpu_s),
        "memory_ratio": figures.ratio(lambda run: run.peak_bytes),
        "limit": figures.limit._asdict() if figures.limit else None,
    }
