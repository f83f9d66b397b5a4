"""The best of several artifacts that were measured, for what the user prefers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from edgeai.errors import QuantizeError
from quantize.report import Report, decode_rate, mean_kld

Preference = Literal["balance", "quality", "speed", "size"]
PREFERENCES: tuple[Preference, ...] = get_args(Preference)

_SAME_SPEED = 0.03  # as far as decoding differs from run to run of one file


def choose(reports: Sequence[Report], prefer: Preference, max_kld: float | None = None) -> tuple[Report, str]:
    """The best of them.

    Args:
        reports: with `quality` and `speed`.
        prefer: what counts: the least divergence, the fastest decoding (of equally fast ones the least divergence),
            the smallest file; or a balance, the one that is nearest to the best of all three.
        max_kld: those with a larger mean KL divergence do not come into question, nats.
    Returns:
        It, and why, in words.
    Raises:
        QuantizeError: none comes into question; with the nearest.
    """
    allowed = [report for report in reports if max_kld is None or mean_kld(report) <= max_kld]
    if not allowed:
        nearest = min(reports, key=mean_kld)
        raise QuantizeError(
            f"--max-kld {max_kld:g}: every mix diverges more; the nearest is {nearest.file_type} with "
            f"{mean_kld(nearest):.4f}, allow so much, or more size"
        )
    if prefer == "quality":
        return min(allowed, key=mean_kld), "the least divergence"
    if prefer == "size":
        return min(allowed, key=lambda report: report.size_bytes), "the smallest file"
    if prefer == "speed":
        enough = (1 - _SAME_SPEED) * max(map(decode_rate, allowed))
        fast = [report for report in allowed if decode_rate(report) >= enough]
        return min(fast, key=mean_kld), "the fastest decoding"
    return _balanced(allowed), "nearest to the best divergence, size and speed at once"


def _balanced(reports: Sequence[Report]) -> Report:
    """The knee of the Pareto front: each cost is scaled from 0, the best of all, to 1; divergence as a logarithm."""
    costs: tuple[Callable[[Report], float], ...] = (
        lambda report: math.log(max(mean_kld(report), 1e-9)),
        lambda report: report.size_bytes,
        lambda report: 1 / max(decode_rate(report), 1e-9),
    )
    scaled = [_scaled([cost(report) for report in reports]) for cost in costs]
    distances = [math.hypot(*values) for values in zip(*scaled, strict=True)]
    return reports[distances.index(min(distances))]


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]
