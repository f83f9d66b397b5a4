"""A report on an artifact: its size, what was lost, and how fast it is here; as a table, as JSON, for a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeai.gguf_header import read_header
from quantize.evaluate import N_CTX
from quantize.perplexity import Divergence, OnProgress, divergence
from quantize.speed import Speed, measure_speed
from quantize.texts import evaluation_text

N_CHUNKS = 20
"""Windows that are evaluated where nothing else is said: 5,100 scored tokens, English and Japanese."""

COLUMNS = ("file type", "size", "bpw", "perplexity", "KLD mean", "99 %", "max", "top-1", "prefill", "decode", "memory")
"""Heads of the columns of `Report.cells`."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of one artifact.

    Attributes:
        path: the file.
        file_type: its mix of tensor types: "Q4_K_M".
        n_params: weights.
        size_bytes: the file's.
        bpw: bits per weight, over all tensors.
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
        return {**asdict(self), "path": str(self.path)}

    def cells(self) -> tuple[str, ...]:
        """A row of a table of several artifacts, under COLUMNS; a dash for what was not measured."""
        quality, speed = self.quality, self.speed
        return (
            self.file_type,
            _megabytes(self.size_bytes),
            f"{self.bpw:.2f}",
            *((_estimate(quality.perplexity.value, quality.perplexity.error, 2),) if quality else ("—",)),
            *((f"{v:.4f}" for v in (quality.kld_mean.value, quality.kld_99, quality.kld_max)) if quality else "———"),
            f"{quality.same_top.value:.1%}" if quality else "—",
            f"{speed.prefill_tokens_per_s:,.0f} tok/s" if speed else "—",
            f"{speed.decode_tokens_per_s:,.1f} tok/s" if speed else "—",
            _megabytes(speed.peak_bytes) if speed else "—",
        )

    def rows(self) -> list[tuple[str, str]]:
        """What was measured and its value, line by line, for one artifact."""
        rows = [("file", str(self.path)), ("file type", self.file_type)]
        rows += [("size", f"{_megabytes(self.size_bytes)}, {self.bpw:.2f} bits per weight")]
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
        ("peak memory", _megabytes(speed.peak_bytes)),
    ]


def report(
    candidate_path: str | os.PathLike[str],
    reference_path: str | os.PathLike[str] | None,
    text: str | None = None,
    *,
    n_ctx: int = N_CTX,
    n_chunks: int | None = N_CHUNKS,
    n_threads: int | None = None,
    with_speed: bool = True,
    on_progress: OnProgress | None = None,
) -> Report:
    """Measure an artifact.

    Args:
        candidate_path: a .gguf file.
        reference_path: the .gguf file that it is measured by, usually F16 or F32; None measures size and speed only.
        text: to measure on; by default the bundled one.
        n_ctx: tokens of a window.
        n_chunks: windows to evaluate at most; None takes the whole text.
        n_threads: by default as many as there are free cores.
        with_speed: measure speed and memory too.
        on_progress: told after every window.

    Raises:
        ModelError: a file is no model, or too large.
        QuantizeError: the text is too short, the vocabularies differ, or a model gives no numbers.
        GenerationError: llama.cpp failed.
    """
    header = read_header(candidate_path)
    speed = measure_speed(candidate_path, n_threads=n_threads) if with_speed else None
    quality = None
    if reference_path is not None:
        text = evaluation_text() if text is None else text
        quality = divergence(
            candidate_path,
            reference_path,
            text,
            n_ctx=n_ctx,
            n_chunks=n_chunks,
            n_threads=n_threads,
            on_progress=on_progress,
        )
    n_params = sum(tensor.n_elements for tensor in header.tensors)
    n_tensor_bytes = sum(tensor.n_bytes for tensor in header.tensors)
    return Report(
        path=header.path,
        file_type=header.file_type,
        n_params=n_params,
        size_bytes=header.n_file_bytes,
        bpw=8 * n_tensor_bytes / n_params,
        quality=quality,
        speed=speed,
    )


def pareto(reports: Sequence[Report]) -> list[Report]:
    """The artifacts that no other beats: none is at least as good in size, divergence and speed, and better in one.

    What was not measured is not compared.
    """
    return [report for report in reports if not any(_beats(other, report) for other in reports)]


_COSTS: tuple[Callable[[Report], float | None], ...] = (
    lambda report: report.size_bytes,
    lambda report: report.quality.kld_mean.value if report.quality else None,
    lambda report: -report.speed.decode_tokens_per_s if report.speed else None,
)


def drawn_klds(reports: Sequence[Report]) -> list[float]:
    """Mean divergences for a logarithmic axis, where an exact copy stands below all others."""
    klds = [report.quality.kld_mean.value if report.quality else 0.0 for report in reports]
    lowest = min((kld for kld in klds if kld > 0), default=1e-3)
    return [kld if kld > 0 else lowest / 3 for kld in klds]


def _beats(one: Report, other: Report) -> bool:
    pairs = [(a, b) for cost in _COSTS if (a := cost(one)) is not None and (b := cost(other)) is not None]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def _estimate(value: float, error: float, n_digits: int) -> str:
    return f"{value:,.{n_digits}f} ± {error:,.{n_digits}f}"
