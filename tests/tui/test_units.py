"""Sizes as people read them."""

from __future__ import annotations

import pytest

from tui.units import bytes_text, context_text, count_text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (98_362_432, "98 MB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_300_000_000, "1.3 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_bytes(n_bytes: int, text: str) -> None:
    assert bytes_text(n_bytes) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (8192, "8.2k"),
        (134_515_008, "135M"),
        (999_999, "1M"),
        (1_543_000_000, "1.5B"),
        (9_960_000_000, "10B"),
    ],
)
def test_counts(count: int, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.parametrize(("n_ctx", "text"), [(8192, "8k"), (131_072, "128k"), (1000, "1k"), (4000, "4k"), (0, "0")])
def test_context_windows(n_ctx: int, text: str) -> None:
    assert context_text(n_ctx) == text
