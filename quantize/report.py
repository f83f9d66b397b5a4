"""A report on an artifact: its size, what was lost, and how fast it is here; as a table, as JSON, for a picture."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgeai.machine import available_memory_bytes
from edgeai.safe_text import one_line
from quantize.evaluate import N_CTX
from quantize.perplexity import Divergence, divergences
from quantize.speed import Speed, measure_speeds
from quantize.subjects import Subject, bits_per_weight, file_type, n_params, read_subject
from quantize.texts import evaluation_text

OnProgress = Callable[[str, int, int], None]
"""Told what is measured, how much of it is done, and of how much: 0 before that is known."""

N_CHUNKS = 20
"""Windows that are evaluated where nothing else is said: 5,100 scored tokens, English and Japanese."""

COLUMNS = ("file type", "size", "bpw", "PPL", "KLD", "99 %", "top-1", "prefill", "decode", "memory")
"""Heads of the columns of `Report.cells`."""

LEGEND = "size, memory in MB; KLD, its 99 % in nats; prefill, decode in tokens/s"
"""Their units."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of one artifact.

    Attributes:
        path: the file, or the folder of an ONNX model.
        file_type: its mix of tensor types: "Q4_K_M", "int4 ONNX".
        n_params: weights; 0 where it does not say.
        size_bytes: the file's.
        bpw: bits per weight, over all tensors; NaN where that is not known.
        quality: how it differs from its reference, None where that was not measured.
        speed: on this machine, None where it was not measured.
    """

    path: Path
    file_type: str
    n_params: int
    size_bytes: int
    bpw: float
    quality: Divergence | None = None
    speed: Speed | None = None

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {**asdict(self), "path": str(self.path), "bpw": None if math.isnan(self.bpw) else self.bpw}

    def cells(self) -> tuple[str, ...]:
        """A row of a table of several artifacts, under COLUMNS; a dash for what was not measured."""
        quality, speed = self.quality, self.speed
        return (
            self.file_type,
            _megabytes(self.size_bytes),
            "—" if math.isnan(self.bpw) else f"{self.bpw:.2f}",
            f"{quality.perplexity.value:.4g}" if quality else "—",
            f"{quality.kld_mean.value:.4f}" if quality else "—",
            f"{quality.kld_99:.4f}" if quality else "—",
            f"{quality.same_top.value:.1%}" if quality else "—",
            f"{speed.prefill_tokens_per_s:,.0f}" if speed else "—",
            f"{speed.decode_tokens_per_s:,.1f}" if speed else "—",
            _megabytes(speed.peak_bytes) if speed else "—",
        )

    def rows(self) -> list[tuple[str, str]]:
        """What was measured and its value, line by line, for one artifact."""
        rows = [("file", str(self.path)), ("file type", self.file_type)]
        per_weight = "" if math.isnan(self.bpw) else f", {self.bpw:.2f} bits per weight"
        rows += [("size", f"{_megabytes(self.size_bytes)} MB{per_weight}")]
        return rows + _quality_rows(self.quality) + _speed_rows(self.speed)


def _quality_rows(quality: Divergence | None) -> list[tuple[str, str]]:
    if quality is None:
        return []
    kld, same = quality.kld_mean, quality.same_top
    perplexity, reference = quality.perplexity, quality.reference_perplexity
    return [
        ("perplexity", _estimate(perplexity.value, perplexity.error, 3)),
        ("perplexity of the reference", _estimate(reference.value, reference.error, 3)),
        ("KL divergence, mean", _estimate(kld.value, kld.error, 5)),
        ("KL divergence, median", f"{quality.kld_median:.5f}"),
        ("KL divergence, 99 %", f"{quality.kld_99:.5f}"),
        ("KL divergence, max", f"{quality.kld_max:.5f}"),
        ("same likeliest token", f"{100 * same.value:.2f} ± {100 * same.error:.2f} %"),
        ("measured on", f"{quality.n_tokens:,} tokens in {quality.n_windows:,} windows of {quality.n_ctx:,}"),
    ]


def _speed_rows(speed: Speed | None) -> list[tuple[str, str]]:
    if speed is None:
        return []
    return [
        ("prefill", f"{speed.prefill_tokens_per_s:,.1f} tokens/s, {speed.n_prompt:,} tokens"),
        ("decode", f"{speed.decode_tokens_per_s:,.1f} tokens/s"),
        ("peak memory", f"{_megabytes(speed.peak_bytes)} MB"),
    ]


def reports(
    candidate_paths: Sequence[str | os.PathLike[str]],
    reference_path: str | os.PathLike[str] | None,
    text: str | None = None,
    *,
    n_ctx: int = N_CTX,
    n_chunks: int | None = N_CHUNKS,
    n_threads: int | None = None,
    with_speed: bool = True,
    on_progress: OnProgress | None = None,
) -> list[Report]:
    """Measure artifacts: they take turns where speed is measured, and read the text together where memory allows.

    Args:
        candidate_paths: .gguf files, and folders of ONNX models.
        reference_path: the one that they are measured by, usually F16 or F32; None measures size and speed only.
        text: to measure on; by default the bundled one.
        n_ctx: tokens of a window.
        n_chunks: windows to evaluate at most; None takes the whole text.
        n_threads: by default as many as there are free cores.
        with_speed: measure speed and memory too.
        on_progress: told after every window, and after every run.

    Raises:
        ModelError: a file is no model, or too large.
        QuantizeError: the text is too short, the vocabularies differ, or a model gives no numbers.
        GenerationError: llama.cpp failed.
    """
    subjects = [read_subject(path) for path in candidate_paths]
    reference = None if reference_path is None else read_subject(reference_path)
    tell = on_progress or (lambda _what, _n_done, _n_total: None)
    speeds: Sequence[Speed | None] = [None] * len(subjects)
    if with_speed:
        tell("speed", 0, 0)
        speeds = measure_speeds(candidate_paths, n_threads=n_threads, on_progress=partial(tell, "speed"))
    qualities: list[Divergence | None] = [None] * len(subjects)
    if reference is not None:
        compare = partial(
            divergences,
            reference_path=reference.path,
            text=evaluation_text() if text is None else text,
            n_ctx=n_ctx,
            n_chunks=n_chunks,
            n_threads=n_threads,
        )
        qualities = _qualities(_groups(subjects, reference), compare, tell)
    return [_report(*measured) for measured in zip(subjects, qualities, speeds, strict=True)]


def _qualities(
    groups: Sequence[Sequence[Subject]], compare: Callable[..., list[Divergence]], tell: OnProgress
) -> list[Divergence | None]:
    """The divergence of each candidate, in order; `compare`: `divergences`, which lacks the candidates."""
    found: list[Divergence | None] = []
    for group in groups:
        what = f"divergence of {file_type(group[0]) if len(group) == 1 else f'{len(group)} mixes'}"
        tell(what, 0, 0)  # models are loaded first
        found += compare([subject.path for subject in group], on_progress=partial(tell, what))
    return found


def _groups(subjects: Sequence[Subject], reference: Subject) -> list[list[Subject]]:
    """Candidates that fit into memory together, beside their reference; in order."""
    room = available_memory_bytes() // 2 - reference.n_file_bytes
    groups: list[list[Subject]] = []
    taken = 0
    for subject in subjects:
        needed = 2 * subject.n_file_bytes  # for weights may be repacked
        if not groups or taken + needed > room:
            groups.append([])
            taken = 0
        groups[-1].append(subject)
        taken += needed
    return groups


def _report(subject: Subject, quality: Divergence | None, speed: Speed | None) -> Report:
    return Report(
        path=subject.path,
        file_type=file_type(subject),
        n_params=n_params(subject),
        size_bytes=subject.n_file_bytes,
        bpw=bits_per_weight(subject),
        quality=quality,
        speed=speed,
    )


def names(reports: Sequence[Report]) -> list[str]:
    """What to call artifacts beside each other: by their mix, or where two have the same, all by their file.

    What is no plain text in a file's name is left out. Folders come into it where the files' names are the same too.
    """
    for name in (lambda report: report.file_type, lambda report: report.path.stem, lambda report: str(report.path)):
        found = [one_line(name(report)) for report in reports]
        if len(set(found)) == len(found):
            break
    return found


def pareto(reports: Sequence[Report]) -> list[Report]:
    """The artifacts that no other beats: none is at least as good in size, divergence and speed, and better in one.

    What was not measured is not compared.
    """
    return [report for report in reports if not any(_beats(other, report) for other in reports)]


def mean_kld(report: Report) -> float:
    """Its mean divergence, nats; NaN where it was not measured."""
    return report.quality.kld_mean.value if report.quality else math.nan


def decode_rate(report: Report) -> float:
    """Tokens written in a second; NaN where it was not measured."""
    return report.speed.decode_tokens_per_s if report.speed else math.nan


_COSTS: tuple[Callable[[Report], float], ...] = (
    lambda report: report.size_bytes,
    mean_kld,
    lambda report: -decode_rate(report),
)


def drawn_klds(reports: Sequence[Report]) -> list[float]:
    """Mean divergences for a logarithmic axis, where an exact copy stands below all others."""
    klds = [report.quality.kld_mean.value if report.quality else 0.0 for report in reports]
    lowest = min((kld for kld in klds if kld > 0), default=1e-3)
    return [kld if kld > 0 else lowest / 3 for kld in klds]


def _beats(one: Report, other: Report) -> bool:
    pairs = [(a, b) for cost in _COSTS if not math.isnan(a := cost(one)) and not math.isnan(b := cost(other))]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f}"


def _estimate(value: float, error: float, n_digits: int) -> str:
    return f"{value:,.{n_digits}f} ± {error:,.{n_digits}f}"
