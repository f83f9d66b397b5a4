"""The benchmark of searching runs, and says what it measured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks import documents_search


def test_it_measures_at_a_small_size() -> None:
    """In a process of its own: multiprocessing leaves one behind that would be taken for a test's."""
    command = [sys.executable, "-m", "benchmarks.documents_search"]
    arguments = ["--sizes", "0.005", "0.02", "--queries", "20", "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=True)
    results = json.loads(done.stdout)
    assert list(results) == ["0.005", "0.02"]
    for size, result in results.items():
        assert result["indexing"]["tokens"] == pytest.approx(float(size) * 1e6)
        assert result["indexing"]["passages"] > 10
        assert 0 < result["words"]["p50_ms"] <= result["words"]["p95_ms"]
        assert result["hybrid"]["peak_mb"] > 1
    assert documents_search.table({float(size): result for size, result in results.items()})[1].split()[0] == "0.005"
