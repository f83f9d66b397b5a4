"""Metadata and tensors are the official converter's: tiny checkpoints of every family, and real config.json files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from quantize.base import Meta, Tensor
from quantize.checkpoint import Checkpoint
from quantize.families import family_of
from quantize.families.general import general_metadata
from quantize.projectors import open_projector, vision_of
from tests.quantize import tiny_families
from tests.quantize.families.real_configs import REAL_CONFIGS
from tests.quantize.families.real_vision_configs import REAL_PREPROCESSORS, REAL_VISION_CONFIGS
from tests.quantize.oracles import oracle, recorded, sha256
from tests.quantize.plamo_memory import MemoryCheckpoint
from tests.quantize.tiny_checkpoints import CASES, case_checkpoint

WRITERS = ("general.file_type", "general.quantization_version")  # it knows the file's types
LARGE = (
    "plamo"  # PLaMo 13B: its smallest checkpoint has the real one's layer; test_plamo.py has a smaller one in memory
)


def described(keys: list[Meta]) -> dict[str, Any]:
    """As the oracle has them."""
    return {
        meta.key: recorded(
            meta.type.name,
            float(np.float32(meta.value)) if meta.type.name == "FLOAT32" else meta.value,
            meta.item_type and meta.item_type.name,
        )
        for meta in keys
    }


def of_model(metadata: dict[str, Any]) -> dict[str, Any]:
    """Without the vocabulary's keys, the writer's, and the one in which PLaMo 2 differs so that it runs."""
    return {
        key: value
        for key, value in metadata.items()
        if not key.startswith("tokenizer.") and key not in (*WRITERS, "plamo2.attention.head_count")
    }


@pytest.mark.parametrize("case", [case for case, what in CASES.items() if what["kind"] != LARGE])
def test_a_checkpoint_becomes_what_the_official_converter_makes_of_it(case: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(case_checkpoint(tmp_path, case))
    family, expected = family_of(checkpoint.config), oracle(case)
    tensors = family.tensors(checkpoint)
    keys = described([*general_metadata(checkpoint, family.arch, tensors), *family.metadata(checkpoint)])
    assert of_model(keys) == of_model(expected["metadata"])
    assert [tensor.name for tensor in tensors] == list(expected["tensors"])
    for tensor in tensors:
        values = tensor.read()
        assert values.dtype == np.float32
        assert values.shape == tensor.shape == tuple(expected["tensors"][tensor.name]["shape"])
        digest = sha256(np.ascontiguousarray(values))
        assert digest == expected["tensors"][tensor.name]["sha256"]["F32"], tensor.name


@pytest.mark.parametrize("name", [*REAL_CONFIGS, *REAL_VISION_CONFIGS])
def test_a_real_models_config_becomes_the_official_keys(name: str) -> None:
    checkpoint = MemoryCheckpoint(REAL_VISION_CONFIGS.get(name) or REAL_CONFIGS[name], {})
    expected = oracle("configs")[name]["metadata"]
    assert described(family_of(checkpoint.config).metadata(checkpoint)) == expected


@pytest.mark.parametrize("name", REAL_VISION_CONFIGS)
def test_a_real_models_part_that_sees_becomes_the_official_keys(name: str, tmp_path: Path) -> None:
    preprocessor = tmp_path / "preprocessor_config.json"
    preprocessor.write_text(json.dumps(REAL_PREPROCESSORS[name]), encoding="utf-8")
    config, expected = REAL_VISION_CONFIGS[name], oracle("configs")[name]["projector"]
    vision, checkpoint = vision_of(config), MemoryCheckpoint(config, {}, files={preprocessor.name: preprocessor})
    assert vision is not None
    n_embd = expected["clip.vision.projection_dim"][1]
    assert described(vision.metadata(checkpoint, n_embd)) == expected
    stored = {
        old: Tensor(old, part.shape, "BF16", _never)
        for old, parts in vision.parts(checkpoint, n_embd).items()
        for part in (parts if isinstance(parts, Sequence) else [parts])
    }
    projector = open_projector(replace(checkpoint, tensors=stored), vision, n_embd, "Q8_0")
    types = Counter(item.qtype for item in projector.planned)
    assert types["Q8_0"] > 4 * expected["clip.vision.block_count"][1]
    assert (types["F16"] > 1) == (expected["clip.vision.feed_forward_length"][1] % 32 > 0)  # whose rows fall back


@pytest.mark.parametrize("name", [name for name in REAL_CONFIGS if oracle("configs")[name]["tensors"]])
def test_a_real_models_rotary_factors_are_the_official_ones(name: str) -> None:
    config = dict(REAL_CONFIGS[name])
    phi = config["model_type"] == "phi3"
    weights = tiny_families.phi3_tensors(config) if phi else tiny_families.decoder_tensors(config)
    stored = {key: Tensor(key, each.shape, "BF16", _never) for key, each in weights.items()}
    tensors = {tensor.name: tensor for tensor in family_of(config).tensors(MemoryCheckpoint(config, stored))}
    for key, values in oracle("configs")[name]["tensors"].items():
        assert np.array_equal(tensors[key].read(), np.array(values, dtype=np.float32))


def _never() -> NoReturn:
    raise AssertionError("a tensor was read before it was asked for")
