"""SmolLM2-135M, a real checkpoint: every recorded mix is the official one, and what is left still knows a capital."""

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


@pytest.mark.parametrize(
    ("ftype", "question"),
    [
        ("Q8_0", "What is the capital of France?"),  # at temperature 0.2 right for 16 seeds of 20, Q4_K_M for 4
        ("Q4_K_M", "What is the capital of France? Answer with one word."),
    ],
)
def test_what_is_left_of_it_knows_a_capital(ftype: str, question: str, smollm2_folder: Path, tmp_path: Path) -> None:
    """With the catalog's sampling and system message: the file says itself which model it is."""
    artifact = quantize(smollm2_folder, tmp_path / "a.gguf", Options(ftype=ftype))
    with Session(artifact.path) as session:
        assert "Paris" in session.chat(question, temperature=0.0, max_tokens=40).text
        assert session.messages[0].role == "user"


def test_a_finetune_of_it_gets_nothing_of_the_catalog_s(smollm2_folder: Path, tmp_path: Path) -> None:
    own = quantize(smollm2_folder, tmp_path / "own.gguf", Options(ftype="Q8_0")).path
    other = tmp_path / "other.gguf"
    data = own.read_bytes()
    assert data.count(b"SmolLM2 135M Instruct") == 1
    other.write_bytes(data.replace(b"SmolLM2 135M Instruct", b"SmolLM2 135M Medicine"))
    with Session(own) as one, Session(other) as two:
        assert one._default_system == "You are a helpful assistant."
        assert two._default_system == ""
        assert not two._sampling
