"""A few layers that stand for a whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from edgeai.gguf_header import read_header
from quantize.imatrix import Entry, Imatrix
from quantize.pipeline import Options, open_model, quantize_model
from quantize.sample import n_layers, sampled, sampled_imatrix, spread
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
