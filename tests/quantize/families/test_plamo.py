"""PLaMo's three generations: the official converter's metadata and tensors, and a forward pass of each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from numpy.typing import NDArray

from benchmarks.bare import Bare
from edgeai.errors import CheckpointError
from quantize.base import Family, Meta
from quantize.families.plamo import Plamo
from quantize.families.plamo2 import Plamo2
from quantize.families.plamo3 import Plamo3
from quantize.vocab.plamo import plamo_vocabulary
from tests.quantize.plamo_memory import (
    CASES,
    PLAMO,
    PLAMO2,
    PLAMO3,
    ROWS,
    MemoryCheckpoint,
    checkpoint,
    tokenizer_files,
)
from tests.quantize.reference_plamo import logits

ORACLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "oracle" / "plamo_memory.json").read_bytes())
FAMILIES: dict[str, Family] = {family.arch: family for family in (Plamo(), Plamo2(), Plamo3())}
CONFIGS = {"plamo": PLAMO, "plamo2": PLAMO2, "plamo3": PLAMO3}
NOT_OURS = ("general.", "tokenizer.")
N_TOKENS = 40  # five windows of PLaMo 3


def family_of(memory: MemoryCheckpoint) -> Family:
    return next(family for family in FAMILIES.values() if memory.config["architectures"][0] in family.architectures)


def case(name: str) -> MemoryCheckpoint:
    config, dtype, changes = CASES[name]
    return checkpoint(config, dtype, **changes)


def described(meta: Meta) -> list[Any]:
    """As the oracle's file has it."""
    value = float(np.float32(meta.value)) if meta.type.name == "FLOAT32" else meta.value
    kinds = [meta.type.name] if meta.item_type is None else [meta.type.name, meta.item_type.name]
    return [kinds, value]


def write_gguf(
    path: Path,
    memory: MemoryCheckpoint,
    rows: list[list[Any]] = ROWS,
    matrices: GGMLQuantizationType = GGMLQuantizationType.F16,
) -> Path:
    """A GGUF of the family's keys and tensors and PLaMo's vocabulary, with its tokenizer's files beside it."""
    family = family_of(memory)
    memory.files = tokenizer_files(path.parent, rows)
    writer = GGUFWriter(path, family.arch)
    for meta in [*family.metadata(memory), *plamo_vocabulary(memory, with_chat_template=False)]:
        writer.add_key_value(meta.key, meta.value, meta.type, meta.item_type)
    for tensor in family.tensors(memory):
        values, kind = np.ascontiguousarray(tensor.read()), matrices
        if values.ndim == 1 or tensor.name.endswith(("_norm.weight", "conv1d.weight")):
            kind = GGMLQuantizationType.F32
        elif values.shape[1] % 32:
            kind = GGMLQuantizationType.F16
        writer.add_tensor(tensor.name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("name", ORACLE)
def test_metadata_is_the_official_converters(name: str) -> None:
    memory = case(name)
    ours = {meta.key: described(meta) for meta in family_of(memory).metadata(memory)}
    theirs = {key: value for key, value in ORACLE[name]["metadata"].items() if not key.startswith(NOT_OURS)}
    if "plamo2.attention.head_count" in theirs:  # differs on purpose: see Plamo2
        kinds, heads = theirs["plamo2.attention.head_count"]
        assert kinds == ["ARRAY", "INT32"]
        theirs["plamo2.attention.head_count"] = [["UINT32"], max(heads)]
    assert ours == theirs
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("name", ORACLE)
def test_tensors_are_the_official_converters(name: str) -> None:
    memory = case(name)
    tensors = family_of(memory).tensors(memory)
    theirs = ORACLE[name]["tensors"]
    assert [tensor.name for tensor in tensors] == list(theirs)
    for tensor in tensors:
        values, expected = tensor.read(), theirs[tensor.name]
        assert list(values.shape) == list(tensor.shape) == expected["shape"], tensor.name
        assert values.dtype == np.float32
        if "values" in expected:
            official = np.float32(expected["values"])
            assert (np.abs(values - official) <= np.spacing(np.abs(official))).all(), tensor.name
        else:
            digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
            assert digest == expected["f32_sha256"], tensor.name


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (PLAMO, {}),
        (PLAMO, {"n_shared_head": 2}),
        (PLAMO, {"n_shared_head": 1}),
        (PLAMO2, {}),
        (PLAMO2, {"mamba_step": 3, "rope_theta": 50000.0, "tie_word_embeddings": False}),
        (PLAMO2, {"hidden_size": 1040, "num_hidden_layers": 2}),  # wider than 1,024: the time step's width follows
        (PLAMO3, {}),
        (PLAMO3, {"window_size": None, "rope_local_theta": None, "tie_word_embeddings": False}),
        (PLAMO3, {"sliding_window_pattern": 4, "window_size": 5}),
        (PLAMO3, {"rope_scaling_factor": 4, "initial_context_length": 128, "rope_theta": 500}),
    ],
)
def test_llama_cpp_computes_what_the_model_does(
    config: dict[str, Any], changes: dict[str, Any], tmp_path: Path
) -> None:
    memory = checkpoint(config, "bf16", **changes)
    tokens, expected = text_and_logits(memory, N_TOKENS)
    bare = Bare(write_gguf(tmp_path / "model.gguf", memory))
    try:
        one_by_one = np.stack([bare.logits([token]) for token in tokens])
        bare.clear()
        at_once = bare.logits(tokens)
    finally:
        bare.close()
    assert np.abs(one_by_one - expected).max() / expected.std() < 1e-2
    assert np.abs(at_once - expected[-1]).max() / expected.std() < 1e-2


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_at_8_bits_the_most_probable_token_stays(config: dict[str, Any], tmp_path: Path) -> None:
    """Random weights often leave two tokens all but equal: those that lead by less than the rounding's noise, 5 % of
    the logits' spread, say nothing."""
    memory = checkpoint(config, tie_word_embeddings=False)
    tokens, expected = text_and_logits(memory, 200)
    bare = Bare(write_gguf(tmp_path / "model.gguf", memory, matrices=GGMLQuantizationType.Q8_0))
    try:
        ours = np.stack([bare.logits([token]) for token in tokens])
    finally:
        bare.close()
    second, first = np.sort(expected, axis=1)[:, -2:].T
    clear = first - second > 0.05 * expected.std()
    assert clear.mean() > 0.8
    assert (ours.argmax(axis=1) == expected.argmax(axis=1))[clear].mean() >= 0.99


def text_and_logits(memory: MemoryCheckpoint, n_tokens: int) -> tuple[list[int], NDArray[np.float64]]:
    tokens = [int(token) for token in np.random.default_rng(0).integers(5, memory.config["vocab_size"], n_tokens)]
    weights = {name: tensor.read().astype(np.float64) for name, tensor in memory.tensors.items()}
    return tokens, logits(memory.config, weights, tokens)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_tensor_too_few_or_too_many_or_of_another_shape_is_named(family: Family) -> None:
    memory = checkpoint(CONFIGS[family.arch])
    name = "model.layers.layers.1." + ("self_attn.o_proj.weight" if family.arch == "plamo" else "mixer.o_proj.weight")
    fewer = {other: tensor for other, tensor in memory.tensors.items() if other != name}
    with pytest.raises(CheckpointError, match=name):
        family.tensors(MemoryCheckpoint(memory.config, fewer))
    with pytest.raises(CheckpointError, match=r"layers\.7\.surprise"):
        family.tensors(memory.but(tensors={"model.layers.layers.7.surprise.weight": memory.tensors[name]}))
    with pytest.raises(CheckpointError, match=r"has the shape .*, expected"):
        family.tensors(memory.but({"hidden_size": memory.config["hidden_size"] + 12}))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "rms_norm_eps", "num_attention_heads"])
@pytest.mark.parametrize("value", [0, -1, "64", True, 1e400, [64]])
def test_a_senseless_config_is_refused(family: Family, key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=key):
        family.metadata(checkpoint(CONFIGS[family.arch]).but({key: value}))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("value", [0, 2**40, None])
def test_a_senseless_vocabulary_size_is_refused(family: Family, value: object) -> None:
    with pytest.raises(CheckpointError, match="vocab_size"):
        family.tensors(checkpoint(CONFIGS[family.arch]).but({"vocab_size": value}))


def test_old_buffers_are_no_weights() -> None:
    memory = checkpoint(PLAMO)
    name = "model.layers.layers.0.self_attn.rotary_emb.inv_freq"
    assert len(Plamo().tensors(memory.but(tensors={name: memory.tensors["model.norm.weight"]}))) == len(memory.tensors)


def test_heads_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(CheckpointError, match="n_shared_head = 4"):
        Plamo().metadata(checkpoint(PLAMO, n_shared_head=4, num_attention_heads=6, hidden_size=96))


def test_a_flat_plamo2_has_its_attention_in_the_last_layer() -> None:
    memory = checkpoint(PLAMO2, mamba_step=16, num_hidden_layers=3)
    heads = next(meta for meta in Plamo2().metadata(memory) if meta.key == "plamo2.attention.head_count_kv")
    assert heads.value == [0, 0, 2]


def test_plamo3_scaling_that_llama_cpp_does_not_compute_is_refused() -> None:
    memory = checkpoint(PLAMO3, rope_scaling={"rope_type": "longrope", "factor": 4.0})
    with pytest.raises(CheckpointError, match="longrope"):
        Plamo3().metadata(memory)
