"""SmolLM2-135M, a real checkpoint: every recorded mix is the official tools' own, and 4 bits still know a capital."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from edgeai import Session
from quantize import Options, quantize
from tests.quantize.oracles import oracle, sha256
from tests.quantize.smollm2 import SMOLLM2_CASE
from tests.quantize.test_pipeline import keys_of

pytestmark = pytest.mark.weights


@pytest.mark.parametrize("ftype", [ftype for ftype in oracle(SMOLLM2_CASE)["quantized"] if ftype != "IQ4_NL"])  # slow
def test_the_artifact_is_the_official_one(ftype: str, smollm2_folder: Path, tmp_path: Path) -> None:
    expected = oracle(SMOLLM2_CASE)
    reader = GGUFReader(quantize(smollm2_folder, tmp_path / "a.gguf", Options(ftype=ftype)).path)
    made = {tensor.name: tensor for tensor in reader.tensors}
    names = list(expected["tensors"])
    assert list(made) == [names[place] for place in expected["quantized"][ftype]["order"]]
    for name, tensor in made.items():
        qtype = expected["tensors"][name]["types"][ftype]
        assert tensor.tensor_type.name == qtype
        assert sha256(np.ascontiguousarray(tensor.data)) == expected["tensors"][name]["sha256"][qtype], name
    keys = keys_of(reader)
    for key, value in {**expected["metadata"], **expected["quantized"][ftype]["metadata"]}.items():
        assert keys[key] == value, key


def test_four_bits_know_a_capital(smollm2_folder: Path, tmp_path: Path) -> None:
    artifact = quantize(smollm2_folder, tmp_path / "a.gguf", Options(ftype="Q4_K_M"))
    with Session(artifact.path) as session:
        answer = session.chat("What is the capital of France? Answer with one word.", temperature=0.0, max_tokens=40)
        assert "Paris" in answer.text
