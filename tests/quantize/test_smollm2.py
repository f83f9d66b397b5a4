"""The real checkpoint is the one the oracle speaks of."""

from pathlib import Path

import pytest

from tests.quantize.oracles import file_digests, oracle
from tests.quantize.smollm2 import SMOLLM2_CASE, WEIGHTS_SHA256

pytestmark = pytest.mark.weights


def test_the_folder_is_the_one_the_oracle_was_made_of(smollm2_folder: Path) -> None:
    assert file_digests(smollm2_folder) == oracle(SMOLLM2_CASE)["files"]


def test_its_weights_are_those_transformers_reads_from_the_gguf() -> None:
    recorded = oracle(SMOLLM2_CASE)
    assert recorded["files"]["model.safetensors"] == WEIGHTS_SHA256
    assert recorded["metadata"]["tokenizer.ggml.pre"] == ["STRING", "smollm"]  # by the converter's own digest
    assert recorded["converter"]["differing"] == {}
