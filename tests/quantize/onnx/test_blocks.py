"""Blocks of 4 and 8 bits: what ONNX Runtime reads out of them, and how near it is to what was put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnxruntime.capi import _pybind_state as native

from quantize.ggml import NotFiniteError, OutOfRangeError
from quantize.onnx import blocks as module
from quantize.onnx.blocks import BLOCK_SIZES, Bits, Blocks, decode_blocks, encode_blocks
from tests.quantize.tiny_weights import F32

KINDS = [(bits, symmetric) for bits in (4, 8) for symmetric in (True, False)]
MOST_CODES = {4: 15, 8: 255}


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def decoded_by_hand(blocks: Blocks, bits: int, block_size: int, n_cols: int) -> F32:
    """What the operators' documentation says, number by number."""

    def code(data: Any, index: int) -> int:
        return int(data[index]) if bits == 8 else int(data[index // 2]) >> 4 * (index % 2) & 15

    values = np.zeros((len(blocks.data), n_cols), np.float32)
    for row in range(len(blocks.data)):
        for column in range(n_cols):
            block, place = divmod(column, block_size)
            zero = 2 ** (bits - 1) if blocks.zero_points is None else code(blocks.zero_points[row], block)
            values[row, column] = (code(blocks.data[row, block], place) - zero) * blocks.scales[row, block]
    return values


def run(op_type: str, inputs: dict[str, NDArray[Any]], **attributes: Any) -> F32:
    """One operator of ONNX Runtime."""
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in inputs.items()}
    node = onnx.helper.make_node(op_type, list(inputs), ["y"], domain="com.microsoft", **attributes)
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [onnx.helper.make_tensor_value_info(name, kinds[name], value.shape) for name, value in inputs.items()],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, inputs)
    return np.asarray(found)


def multiplied(blocks: Blocks, bits: int, block_size: int, n_cols: int) -> F32:
    """The matrix as MatMulNBits sees it: multiplied by unit vectors."""
    inputs: dict[str, NDArray[Any]] = {"a": np.eye(n_cols, dtype=np.float32), "b": blocks.data, "scales": blocks.scales}
    if blocks.zero_points is not None:
        inputs["zero_points"] = blocks.zero_points
    sizes = {"K": n_cols, "N": len(blocks.data), "bits": bits, "block_size": block_size, "accuracy_level": 0}
    rows: F32 = run("MatMulNBits", inputs, **sizes).T
    return rows


def gathered(blocks: Blocks, bits: int, block_size: int) -> F32:
    """The matrix as GatherBlockQuantized sees it: each row looked up."""
    n_rows = len(blocks.data)
    inputs: dict[str, NDArray[Any]] = {
        "data": blocks.data.reshape(n_rows, -1),
        "indices": np.arange(n_rows),
        "scales": blocks.scales,
    }
    if blocks.zero_points is not None:
        inputs["zero_points"] = blocks.zero_points
    return run("GatherBlockQuantized", inputs, bits=bits, block_size=block_size, gather_axis=0, quantize_axis=1)


@pytest.mark.parametrize("n_cols", [1, 20, 64, 100])
@pytest.mark.parametrize("block_size", [16, 32])
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_blocks_stand_for_what_the_documentation_says(
    bits: Bits, symmetric: bool, block_size: int, n_cols: int
) -> None:
    blocks = encode_blocks(normal(3, n_cols), bits=bits, block_size=block_size, symmetric=symmetric)
    n_blocks = -(-n_cols // block_size)
    assert blocks.data.shape == (3, n_blocks, block_size * bits // 8)
    assert (blocks.zero_points is None) is symmetric
    if blocks.zero_points is not None:
        assert blocks.zero_points.shape == (3, -(-n_blocks * bits // 8))
    expected = decoded_by_hand(blocks, bits, block_size, n_cols)
    np.testing.assert_array_equal(decode_blocks(blocks, bits=bits, n_cols=n_cols), expected)


@pytest.mark.parametrize("n_cols", [256, 300])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_onnx_runtime_multiplies_by_what_was_meant(bits: Bits, symmetric: bool, block_size: int, n_cols: int) -> None:
    blocks = encode_blocks(normal(24, n_cols), bits=bits, block_size=block_size, symmetric=symmetric)
    meant = decode_blocks(blocks, bits=bits, n_cols=n_cols)
    np.testing.assert_allclose(multiplied(blocks, bits, block_size, n_cols), meant, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_onnx_runtime_looks_up_what_was_meant(bits: Bits, symmetric: bool, block_size: int) -> None:
    n_cols = 3 * block_size
    blocks = encode_blocks(normal(7, n_cols), bits=bits, block_size=block_size, symmetric=symmetric)
    meant = decode_blocks(blocks, bits=bits, n_cols=n_cols)
    np.testing.assert_allclose(gathered(blocks, bits, block_size), meant, rtol=1e-6)


@pytest.mark.parametrize("symmetric", [True, False])
def test_rounding_to_nearest_is_onnx_runtimes_own(symmetric: bool) -> None:
    values, n_rows, n_cols = normal(16, 96), 16, 96
    data = np.zeros((n_rows, 3, 16), np.uint8)
    scales, zeros = np.zeros(n_rows * 3, np.float32), np.zeros((n_rows, 2), np.uint8)
    native.quantize_matmul_4bits(data, np.ascontiguousarray(values.T), scales, zeros, 32, n_rows, n_cols, symmetric)
    theirs = Blocks(data, scales.reshape(n_rows, 3), None if symmetric else zeros)
    ours = encode_blocks(values, bits=4, symmetric=symmetric, search=False)
    found, expected = (decode_blocks(item, bits=4, n_cols=n_cols) for item in (ours, theirs))
    steps = np.repeat(np.abs(ours.scales), 32, axis=1)
    assert (np.abs(found - expected) <= 1.001 * steps).all()  # where a number is in the middle of two codes
    assert np.isclose(found, expected, atol=1e-5).mean() > 0.99


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_rounding_errs_by_half_a_step_at_most(bits: Bits, symmetric: bool, block_size: int) -> None:
    values = normal(20, 4 * block_size)
    blocks = encode_blocks(values, bits=bits, block_size=block_size, symmetric=symmetric, search=False)
    steps = np.repeat(np.abs(blocks.scales), block_size, axis=1)
    errors = np.abs(decode_blocks(blocks, bits=bits, n_cols=values.shape[1]) - values) / steps
    if symmetric:  # the code that the extreme has no partner for is missing on the other side
        blocked = values.reshape(20, 4, block_size)
        beyond = -np.sign(blocked * np.sign(blocks.scales)[:, :, None])
        assert errors.max() <= 1.0001
        assert errors[(beyond > 0).reshape(errors.shape)].max() <= 0.5001
    else:
        assert errors.max() <= 0.5001 + 0.5  # the zero point is rounded too
    assert np.median(errors) < 0.3


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_a_search_loses_less(bits: Bits, symmetric: bool, block_size: int) -> None:
    values = normal(50, 512)

    def lost(search: bool) -> float:
        blocks = encode_blocks(values, bits=bits, block_size=block_size, symmetric=symmetric, search=search)
        errors = decode_blocks(blocks, bits=bits, n_cols=512) - values
        return float((errors**2).sum())

    assert lost(True) < (0.97 if bits == 4 else 1.0) * lost(False)


@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_of_a_head_large_weights_are_spared_more(bits: Bits, symmetric: bool) -> None:
    values = normal(50, 512) ** 3

    def lost(is_head: bool) -> float:
        blocks = encode_blocks(values, bits=bits, symmetric=symmetric, is_head=is_head)
        return float((values**2 * (decode_blocks(blocks, bits=bits, n_cols=512) - values) ** 2).sum())

    assert lost(True) < lost(False)


@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_what_is_important_is_spared(bits: Bits, symmetric: bool) -> None:
    values, importance = normal(50, 512), np.exp(3 * normal(512, seed=1)).astype(np.float32)

    def lost(weights: F32 | None) -> float:
        blocks = encode_blocks(values, bits=bits, symmetric=symmetric, importance=weights)
        return float((importance * (decode_blocks(blocks, bits=bits, n_cols=512) - values) ** 2).sum())

    assert lost(importance) < 0.9 * lost(None)


@pytest.mark.parametrize("search", [True, False])
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_zeros_and_constants_are_kept(bits: Bits, symmetric: bool, search: bool) -> None:
    values = np.zeros((4, 64), np.float32)
    values[1], values[2, :32], values[3] = 3.7, -1e-30, -1e30
    blocks = encode_blocks(values, bits=bits, symmetric=symmetric, search=search)
    np.testing.assert_allclose(decode_blocks(blocks, bits=bits, n_cols=64), values, rtol=1e-6)
    assert not blocks.scales[0].any()


@pytest.mark.parametrize("search", [True, False])
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_numbers_of_any_size_become_finite_ones(bits: Bits, symmetric: bool, search: bool) -> None:
    sizes = np.array([[1e-45], [1e-38], [1e-20], [1e20], [9e36]], np.float32)
    values = np.clip(normal(5, 64), -1, 1) * sizes
    blocks = encode_blocks(values, bits=bits, symmetric=symmetric, search=search)
    found = decode_blocks(blocks, bits=bits, n_cols=64)
    assert np.isfinite(found).all()
    assert (np.abs(found - values)[1:] <= sizes[1:] / 7).all()


@pytest.mark.parametrize("n_important", [0, 1, 33])
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_what_is_not_important_is_no_garbage(bits: Bits, symmetric: bool, n_important: int) -> None:
    values = normal(5, 64)
    importance = (np.arange(64) < n_important).astype(np.float32)
    blocks = encode_blocks(values, bits=bits, symmetric=symmetric, importance=importance)
    assert np.abs(decode_blocks(blocks, bits=bits, n_cols=64) - values).max() < np.abs(values).max() / 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_numbers_are_refused(bad: float) -> None:
    values = normal(2, 64)
    values[1, 7] = bad
    with pytest.raises(NotFiniteError):
        encode_blocks(values, bits=4)


def test_numbers_that_are_too_large_are_refused() -> None:
    values = normal(2, 64)
    values[1, 7] = -3e38
    with pytest.raises(OutOfRangeError, match="-3e"):
        encode_blocks(values, bits=8)


@pytest.mark.parametrize("chunk", [1, 100, 1000])
@pytest.mark.parametrize("n_rows", [0, 1, 9])
@pytest.mark.parametrize(("bits", "symmetric"), KINDS)
def test_pieces_make_the_whole(
    bits: Bits, symmetric: bool, n_rows: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, importance = normal(n_rows, 100), normal(100) ** 2
    whole = encode_blocks(values, bits=bits, symmetric=symmetric, importance=importance)
    monkeypatch.setattr(module, "_CHUNK", chunk)
    pieces = encode_blocks(values, bits=bits, symmetric=symmetric, importance=importance)
    np.testing.assert_array_equal(pieces.data, whole.data)
    np.testing.assert_allclose(pieces.scales, whole.scales, rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"bits": 5}, {"block_size": 8}, {"block_size": 48}, {"importance": normal(3)}])
def test_wrong_calls_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        encode_blocks(normal(2, 64), **({"bits": 4} | wrong))
