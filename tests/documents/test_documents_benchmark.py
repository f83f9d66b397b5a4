"""The benchmark of opening documents again, in its short form."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.documents import measure, table


@pytest.mark.weights
def test_a_document_is_found_evaluated_in_the_next_process(real_model: Path) -> None:
    result = measure(real_model, 300, 1, with_peer=False)
    assert 300 < result["prompt_tokens"] < 450
    assert result["cached_tokens"] > 0.8 * result["prompt_tokens"] - 20
    assert result["kept_bytes"] > 1e6
    lines = table([{**result, "peer": {"afresh_s": 6.0, "again_s": 2.0, "kept_bytes": 2e6}}])
    assert lines[2].split() == ["Llama", "+", "disk", "6.00", "2.00", "3.0", "2"]
