"""Graphs of 4 and 8 bits compute with the numbers that their blocks stand for, by a dequantization written here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from quantize.base import F32
from quantize.onnx.nodes import DATA_FILE
from quantize.onnx.writer import MODEL_FILE
from quantize.pipeline import open_model
from tests.quantize.onnx.running import Runner, difference, written
from tests.quantize.oracles import N_SHORT, text
from tests.quantize.tiny_checkpoints import tiny_checkpoint

KINDS = ("smollm2", "llama-biased", "qwen3", "phi2", "phi4-mini", "gemma3")
SETTINGS = (
    {"bits": 4},
    {"bits": 8},
    {"bits": 4, "symmetric": False, "block_size": 16},
    {"bits": 8, "symmetric": False, "block_size": 128},  # rows of 64: blocks that are filled up
)


def stored(folder: Path, model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """The initializers, by name."""
    data = (folder / DATA_FILE).read_bytes()
    arrays = {}
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            where = {entry.key: entry.value for entry in tensor.external_data}
            start = int(where["offset"])
            raw = data[start : start + int(where["length"])]
            dtype = {onnx.TensorProto.FLOAT: "<f4", onnx.TensorProto.UINT8: "u1"}[tensor.data_type]
            arrays[tensor.name] = np.frombuffer(raw, dtype).reshape(tensor.dims)
        else:
            arrays[tensor.name] = numpy_helper.to_array(tensor)
    return arrays


def dequantized(codes: NDArray[Any], scales: F32, zeros: NDArray[Any] | None, bits: int, n_cols: int) -> F32:
    """Number by number. float32 [n_rows, n_cols]"""
    n_rows, n_blocks = scales.shape
    of_row = codes.reshape(n_rows, -1)
    size = of_row.shape[1] * 8 // bits // n_blocks
    values = np.empty((n_rows, n_blocks * size), np.float32)

    def code(row: NDArray[Any], index: int) -> NDArray[Any]:
        return row[:, index] if bits == 8 else (row[:, index // 2] >> (4 * (index % 2))) & 15

    for column in range(n_blocks * size):
        block = column // size
        zero = code(zeros, block).astype(np.int32) if zeros is not None else 1 << (bits - 1)
        values[:, column] = (code(of_row, column).astype(np.int32) - zero) * scales[:, block]
    return values[:, :n_cols]


def as_floats(folder: Path) -> bytes:
    """The same graph with float32 instead of blocks."""
    model = onnx.load(folder / MODEL_FILE, load_external_data=False)
    arrays = stored(folder, model)
    for node in model.graph.node:
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        inputs = [*node.input, "", ""]
        if node.op_type == "MatMulNBits":
            zeros = arrays[inputs[3]] if inputs[3] else None
            values = dequantized(arrays[inputs[1]], arrays[inputs[2]], zeros, attributes["bits"], attributes["K"])
            assert values.shape == (attributes["N"], attributes["K"])
            op, rest = "MatMul", [f"{node.name}.floats"]
            model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values.T), rest[0]))
            if len(node.input) > 5:
                product = f"{node.name}.unbiased"
                model.graph.node.append(helper.make_node("Add", [product, inputs[5]], list(node.output)))
                node.output[0] = product
        elif node.op_type == "GatherBlockQuantized":
            zeros = arrays[inputs[3]] if inputs[3] else None
            n_cols = arrays[inputs[0]].shape[1] * 8 // attributes["bits"]
            values = dequantized(arrays[inputs[0]], arrays[inputs[2]], zeros, attributes["bits"], n_cols)
            op, rest = "Gather", []
            model.graph.initializer.append(numpy_helper.from_array(values, f"{node.name}.floats"))
            inputs[0], rest = f"{node.name}.floats", [inputs[1]]
        else:
            continue
        del node.attribute[:], node.input[:]
        node.op_type, node.domain = op, ""
        node.input.extend([inputs[0], *rest])
    _sort(model.graph)
    data: bytes = model.SerializeToString()
    return data


def _sort(graph: onnx.GraphProto) -> None:
    """Nodes in the order of computing again."""
    known = {each.name for each in (*graph.initializer, *graph.input)} | {""}
    waiting, done = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        assert ready
        done += ready
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if node not in ready]
    del graph.node[:]
    graph.node.extend(done)


def with_accuracy(folder: Path, level: int) -> bytes:
    """The graph with another accuracy of its products."""
    model = onnx.load(folder / MODEL_FILE, load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                assert attribute.i == 4
                attribute.i = level
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_blocks_are_the_weights_it_computes_with(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    model = open_model(tiny_checkpoint(tmp_path / "model", kind))
    folder = written(model, tmp_path / "out", **settings)
    tokens = text(N_SHORT)
    floats = Runner(folder, N_SHORT, as_floats(folder)).in_pieces(tokens, N_SHORT)
    exact = Runner(folder, N_SHORT, with_accuracy(folder, 0))
    assert difference(exact.in_pieces(tokens, N_SHORT), floats) < 1e-3
    assert difference(exact.in_pieces(tokens, 11), floats) < 1e-3
    rounded = Runner(folder, N_SHORT)
    whole = rounded.in_pieces(tokens, N_SHORT)
    assert difference(whole, floats) < 0.1  # inputs of 8 bits
    assert difference(rounded.in_pieces(tokens, 1), whole) < 5e-2
    original = Runner(written(model, tmp_path / "floats", bits=32), N_SHORT).in_pieces(tokens, N_SHORT)
    assert difference(floats, original) < {4: 0.9, 8: 0.1}[settings["bits"]]
