"""A few layers that stand for a whole model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType

from edgeai.gguf_header import read_header
from quantize.base import Meta
from quantize.imatrix import Entry, Imatrix
from quantize.pipeline import Model, Options, open_model, quantize_model
from quantize.sample import n_layers, period, sample_layers, sampled, sampled_imatrix, spread
from tests.quantize.experts import deepseek
from tests.quantize.official import llama_logits
from tests.quantize.tiny_checkpoints import case_checkpoint


@pytest.mark.parametrize(
    ("n_all", "n_taken", "layers"),
    [(30, 4, [0, 10, 19, 29]), (3, 3, [0, 1, 2]), (3, 9, [0, 1, 2]), (5, 1, [0]), (12, 2, [0, 11])],
)
def test_layers_are_spread_from_the_first_to_the_last(n_all: int, n_taken: int, layers: list[int]) -> None:
    assert spread(n_all, n_taken) == layers


@pytest.mark.parametrize("case", ["llama", "plamo2", "plamo3", "gemma3", "phi4-mini"])
def test_a_sample_of_each_kind_loads_and_holds_the_weights_of_its_layers(case: str, tmp_path: Path) -> None:
    model = open_model(case_checkpoint(tmp_path, case))
    n_all = n_layers(model)
    layers = [n_all - 2, n_all - 1] if n_all > 2 else [n_all - 1]
    part = sampled(model, layers)
    path = quantize_model(part, tmp_path / "part.gguf", Options(ftype="F16")).path
    whole = GGUFReader(quantize_model(model, tmp_path / "whole.gguf", Options(ftype="F16")).path)
    expected = {tensor.name: tensor.data for tensor in whole.tensors}
    for tensor in GGUFReader(path).tensors:
        name = tensor.name
        if name.startswith("blk."):
            _, layer, rest = name.split(".", 2)
            name = f"blk.{layers[int(layer)]}.{rest}"
        np.testing.assert_array_equal(tensor.data, expected[name], err_msg=tensor.name)
    assert read_header(path)["block_count"] == len(layers)
    assert np.isfinite(llama_logits(path, [1, 2, 3])).all()


def of_keys(arch: str, **values: Any) -> Model:
    """A model without tensors; `__` in a name is a point."""
    keys = [Meta("general.architecture", arch, GGUFValueType.STRING)]
    for name, value in values.items():
        kind = GGUFValueType.ARRAY if isinstance(value, list) else GGUFValueType.UINT32
        keys.append(Meta(f"{arch}.{name.replace('__', '.')}", value, kind, GGUFValueType.INT32))
    return Model(keys, [])


def key(model: Model, name: str) -> Any:
    (value,) = (meta.value for meta in model.metadata if meta.key.partition(".")[2] == name)
    return value


@pytest.mark.parametrize(
    ("name", "value", "layers", "left"),
    [
        ("leading_dense_block_count", 3, [0, 4, 9], 1),
        ("leading_dense_block_count", 3, [0, 1, 2, 9], 3),
        ("leading_dense_block_count", 0, [0, 9], 0),
        ("nextn_predict_layers", 1, [0, 5, 9], 1),
        ("nextn_predict_layers", 1, [0, 5], 0),
        ("attention.shared_kv_layers", 4, [0, 5, 6, 9], 2),
        ("attention.head_count", list(range(10)), [0, 4, 9], [0, 4, 9]),
        ("attention.sliding_window_pattern", [1, 0, 1, 0], [0, 1, 9], [1, 0, 0]),
        ("attention.sliding_window_pattern", 6, [0, 7], 6),
        ("vision.block_count", 10, [0, 9], 10),
    ],
)
def test_what_is_said_of_layers_is_said_of_those_that_are_left(
    name: str, value: Any, layers: list[int], left: Any
) -> None:
    model = of_keys("deepseek2", block_count=10, **{name.replace(".", "__"): value})
    part = sampled(model, layers)
    assert n_layers(part) == len(layers)
    assert key(part, name) == left


def test_sections_of_a_rotation_are_no_layers() -> None:
    part = sampled(of_keys("qwen2vl", block_count=4, rope__dimension_sections=[16, 24, 24, 0]), [0, 3])
    assert key(part, "rope.dimension_sections") == [16, 24, 24, 0]


@pytest.mark.parametrize("layers", [[0, 4], [0, 2, 4], [0, 1, 4]])
def test_dense_layers_before_those_with_experts_load_in_a_sample(layers: list[int], tmp_path: Path) -> None:
    model = open_model(deepseek(tmp_path / "whole.gguf", n_layer=5, n_dense=2))
    path = quantize_model(sampled(model, layers), tmp_path / "part.gguf", Options(ftype="F16")).path
    assert np.isfinite(llama_logits(path, [1, 2, 3])).all()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (of_keys("llama"), 1),
        (of_keys("gemma3"), 6),
        (of_keys("plamo3", attention__sliding_window_pattern=4), 4),
        (of_keys("gemma3", attention__sliding_window_pattern=[0] * 9), 1),
        (of_keys("qwen3next", full_attention_interval=3), 3),
        (of_keys("llama4", interleave_moe_layer_step=6), 12),
    ],
)
def test_kinds_of_layers_come_again(model: Model, expected: int) -> None:
    assert period(model) == expected


@pytest.mark.parametrize("n_all", [6, 26, 33, 62])
@pytest.mark.parametrize("step", [1, 2, 4, 6])
def test_layers_get_numbers_of_their_own_kind(n_all: int, step: int) -> None:
    for n_taken in range(1, n_all + 1):
        layers = spread(n_all, n_taken, step)
        assert len(set(layers)) == n_taken
        assert layers == sorted(layers)
        assert layers[0] >= 0
        assert layers[-1] < n_all
        assert all(layer % step == index % step for index, layer in enumerate(layers))


def test_a_sample_has_a_recurrent_layer_and_one_that_attends(tmp_path: Path) -> None:
    model = open_model(case_checkpoint(tmp_path, "plamo2"))
    layers = sample_layers(model, 1)
    assert layers == [0, 3]
    path = quantize_model(sampled(model, layers), tmp_path / "part.gguf", Options(ftype="F16")).path
    assert np.isfinite(llama_logits(path, [1, 2, 3])).all()


def test_an_importance_matrix_follows_its_layers() -> None:
    entries = {
        f"blk.{index}.ffn_up.weight": Entry(np.full(4, index, np.float32), np.ones(1, int)) for index in range(4)
    }
    outside = {"output.weight": Entry(np.full(4, 9, np.float32), np.ones(1, int))}
    part = sampled_imatrix(Imatrix(entries | outside, (), 1, 512), [1, 3])
    assert {name: entry.sums[0] for name, entry in part.entries.items()} == {
        "blk.0.ffn_up.weight": 1,
        "blk.1.ffn_up.weight": 3,
        "output.weight": 9,
    }
