"""Projectors are, byte by byte, those that the official converter writes with --mmproj."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader

from quantize import Artifact, Options, quantize
from tests.quantize.oracles import oracle, recorded, sha256
from tests.quantize.tiny_checkpoints import CASES, VISION_KINDS, case_checkpoint

SEEING = [case for case, what in CASES.items() if what["kind"] in VISION_KINDS]


def described(path: Path) -> dict[str, Any]:
    """As the oracle has it."""
    reader = GGUFReader(path)
    fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    return {
        "metadata": {
            key: recorded(
                field.types[0].name, field.contents(), field.types[-1].name if field.types[0].name == "ARRAY" else None
            )
            for key, field in fields.items()
        },
        "tensors": {
            tensor.name: [tensor.tensor_type.name, [int(n) for n in reversed(tensor.shape)], sha256(tensor.data)]
            for tensor in reader.tensors
        },
        "sha256": sha256(path.read_bytes()),
    }


def projector_of(artifact: Artifact) -> Path:
    assert artifact.projector is not None
    assert artifact.projector.path.stat().st_size == artifact.projector.size_bytes
    return artifact.projector.path


@pytest.mark.parametrize("qtype", ["F16", "Q8_0"])
@pytest.mark.parametrize("case", SEEING)
def test_a_projector_is_the_official_one(case: str, qtype: str, tmp_path: Path) -> None:
    expected = oracle(case)["projectors"][qtype]
    artifact = quantize(case_checkpoint(tmp_path, case), tmp_path / "text.gguf", Options(projector=qtype))
    found = described(projector_of(artifact))
    assert list(found["metadata"]) == list(expected["metadata"])
    assert found["metadata"] == expected["metadata"]
    assert list(found["tensors"]) == list(expected["tensors"])
    assert found["tensors"] == expected["tensors"]
    assert found["sha256"] == expected["sha256"]
