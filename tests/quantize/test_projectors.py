"""Projectors are, byte by byte, those that the official converter writes with --mmproj."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

import quantize
import quantize.base
from edgeai.errors import CheckpointError
from edgeai.model_files import gguf_in, projector_beside
from quantize import Artifact, Options
from quantize.checkpoint import Checkpoint
from quantize.families import family_of
from quantize.families.common import view
from quantize.projectors import open_projector, vision_of
from tests.quantize.oracles import oracle, recorded, sha256
from tests.quantize.tiny_checkpoints import CASES, KINDS, VISION_KINDS, case_checkpoint, tiny_checkpoint
from tests.quantize.tiny_weights import write_safetensors

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
    artifact = quantize.quantize(case_checkpoint(tmp_path, case), tmp_path / "text.gguf", Options(projector=qtype))
    found = described(projector_of(artifact))
    assert list(found["metadata"]) == list(expected["metadata"])
    assert found["metadata"] == expected["metadata"]
    assert list(found["tensors"]) == list(expected["tensors"])
    assert found["tensors"] == expected["tensors"]
    assert found["sha256"] == expected["sha256"]


NAMES: Mapping[str, Mapping[str, str]] = {
    "gemma3-vision": {
        "language_model.model.": "model.language_model.",
        "vision_tower.vision_model.": "model.vision_tower.",
        "multi_modal_projector.": "model.multi_modal_projector.",
    },
    "gemma3-vision as transformers 5 saves it": {"vision_tower.vision_model.": "vision_tower."},
    "gemma3-vision without a tower": {"vision_tower.vision_model.": "vision_model."},
    "qwen2.5-vl": {"visual.": "model.visual.", "model.": "model.language_model."},
    "qwen3-vl": {"model.visual.": "visual.", "model.language_model.": "language_model.model."},
}


@pytest.mark.parametrize("how", NAMES)
def test_the_names_of_every_version_of_transformers_are_known(how: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(case_checkpoint(tmp_path, how.partition(" ")[0]))
    renamed = view(checkpoint, {_renamed(name, NAMES[how]): tensor for name, tensor in checkpoint.tensors.items()})
    assert renamed.tensors.keys() != checkpoint.tensors.keys()
    assert _made(renamed) == _made(checkpoint)


def _renamed(name: str, prefixes: Mapping[str, str]) -> str:
    for old, new in prefixes.items():
        if name.startswith(old):
            return name.replace(old, new, 1)
    return name


def _made(checkpoint: quantize.base.Checkpoint) -> dict[str, Any]:
    vision, family = vision_of(checkpoint.config), family_of(checkpoint.config)
    assert vision is not None
    projector = open_projector(checkpoint, vision, 64, "F16")
    text = {tensor.name: sha256(tensor.read()) for tensor in family.tensors(checkpoint)}
    return text | {item.tensor.name: (item.qtype, sha256(item.tensor.read())) for item in projector.planned}


def test_a_projector_lies_where_edgeai_finds_it(tmp_path: Path) -> None:
    folder = case_checkpoint(tmp_path, "smolvlm2")
    artifact = quantize.quantize(folder, folder / "text.gguf")
    assert gguf_in(folder) == (artifact.path, projector_of(artifact))
    assert projector_beside(artifact.path) == projector_of(artifact)
    assert projector_of(artifact).name == "mmproj-Tiny-Smolvlm2-F16.gguf"  # as the official converter calls it


def test_a_model_of_text_alone_has_none(tmp_path: Path) -> None:
    artifact = quantize.quantize(case_checkpoint(tmp_path, "llama"), tmp_path / "a" / "text.gguf")
    assert artifact.projector is None
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["text.gguf"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("language_model.model.norm.weight", np.nan, "output_norm.weight: it holds NaN"),
        ("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", 1e6, "v.blk.0.ffn_up.weight.*--projector none"),
    ],
)
def test_neither_file_is_left_where_one_of_them_fails(name: str, value: float, message: str, tmp_path: Path) -> None:
    folder, out = tmp_path / "model", tmp_path / "out"
    config = KINDS["gemma3-vision"].config()
    shapes = {key: each.shape for key, each in KINDS["gemma3-vision"].tensors(config).items()}
    tiny_checkpoint(folder, "gemma3-vision", dtype="f32")
    write_safetensors(
        folder / "model.safetensors",
        shapes,
        lambda key: np.full(shapes[key], value if key == name else 0.5, np.float32),
        "f32",
    )
    with pytest.raises(CheckpointError, match=message):
        quantize.quantize(folder, out / "text.gguf")
    assert not list(out.iterdir())
