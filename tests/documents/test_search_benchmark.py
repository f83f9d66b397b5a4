"""The benchmark of searching runs, and says what it measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import documents_search


def test_it_measures_at_a_small_size(capsys: pytest.CaptureFixture[str]) -> None:
    documents_search.main(["--sizes", "0.005", "0.02", "--queries", "20", "--json"])
    results = json.loads(capsys.readouterr().out)
    assert list(results) == ["0.005", "0.02"]
    for size, result in results.items():
        assert result["indexing"]["tokens"] == pytest.approx(float(size) * 1e6)
        assert result["indexing"]["passages"] > 10
        assert 0 < result["words"]["p50_ms"] <= result["words"]["p95_ms"]
        assert result["hybrid"]["peak_mb"] > 1
    assert documents_search.table({float(size): result for size, result in results.items()})[1].split()[0] == "0.005"
