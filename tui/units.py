"""Sizes as a person reads them."""

from __future__ import annotations


def bytes_text(n_bytes: int) -> str:
    """Decimal units, at most three digits: "98 MB", "1.3 GB"."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        # 999.5 would round up to four digits.
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def count_text(count: int) -> str:
    """Parameters or tokens: "135M", "1.5B", "8k"."""
    for limit, unit in ((999_500_000, "B"), (999_500, "M"), (1000, "k")):
        if count >= limit:
            value = count / 10 ** {"B": 9, "M": 6, "k": 3}[unit]
            return f"{value:.1f}".removesuffix(".0") + unit if value < 9.95 else f"{value:.0f}{unit}"
    return str(count)


def context_text(n_ctx: int) -> str:
    """A context window: "8k" for 8,192, as its makers write it."""
    return f"{n_ctx // 1024}k" if n_ctx and n_ctx % 1024 == 0 else count_text(n_ctx)
