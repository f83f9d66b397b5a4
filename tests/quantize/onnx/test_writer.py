"""Both files, whole or not at all: their places, their size, what is shared, and what a failure leaves."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgeai.errors import CheckpointError, QuantizeError
from quantize.base import F32, Tensor
from quantize.onnx.nodes import DATA_FILE
from quantize.onnx.options import OnnxOptions
from quantize.onnx.plan import plan_graph
from quantize.onnx.writer import MODEL_FILE, write_graph
from quantize.pipeline import Model, Progress, open_model
from tests.quantize.onnx.running import Runner, difference, written
from tests.quantize.oracles import N_SHORT, text
from tests.quantize.tiny_checkpoints import tiny_checkpoint


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return open_model(tiny_checkpoint(tmp_path_factory.mktemp("smollm2") / "model", "smollm2"))


def places(folder: Path) -> dict[str, tuple[int, int]]:
    """Offset and length of each initializer of model.onnx.data."""
    found = {}
    for tensor in onnx.load(folder / MODEL_FILE, load_external_data=False).graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            where = {entry.key: entry.value for entry in tensor.external_data}
            assert where["location"] == DATA_FILE
            found[tensor.name] = (int(where["offset"]), int(where["length"]))
        else:
            assert len(tensor.raw_data) <= 1024
    return found


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_a_head_that_is_the_embeddings_is_stored_once(smollm2: Model, bits: int, tmp_path: Path) -> None:
    folder = written(smollm2, tmp_path / "out", bits=bits)
    found = places(folder)
    rows = "token_embd.weight" if bits == 32 else "token_embd.weight.rows"
    assert found[rows] == found["token_embd.weight"]
    n_weights = sum(tensor.n_elements for tensor in smollm2.tensors if len(tensor.shape) > 1)
    n_others = sum(tensor.n_elements for tensor in smollm2.tensors if len(tensor.shape) == 1) + 2 * 512 * 16
    expected = n_weights * {4: 5, 8: 9, 32: 32}[bits] // 8 + 4 * n_others
    assert (folder / DATA_FILE).stat().st_size == pytest.approx(expected, rel=0.01)


def test_arrays_do_not_overlap_and_end_with_the_file(smollm2: Model, tmp_path: Path) -> None:
    folder = written(smollm2, tmp_path / "out", bits=4, symmetric=False)
    ends = sorted({(offset, offset + length) for offset, length in places(folder).values()})
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
    assert all(start % 64 == 0 for start, _ in ends)
    assert ends[-1][1] == (folder / DATA_FILE).stat().st_size


def test_the_plan_says_what_is_written(smollm2: Model, tmp_path: Path) -> None:
    options = OnnxOptions(bits=4)
    planned = plan_graph(smollm2, options)
    (tmp_path / "out").mkdir()
    told: list[Progress] = []
    made = write_graph(smollm2, tmp_path / "out", options, told.append)
    assert [(item.name, item.n_bytes, item.values, item.scales) for item in made.planned] == [
        (item.name, item.n_bytes, item.values, item.scales) for item in planned
    ]
    assert made.n_params == sum(tensor.n_elements for tensor in smollm2.tensors)
    assert made.n_bytes == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    total = sum(item.n_bytes for item in planned)
    assert [each.n_done_bytes for each in told] == sorted(each.n_done_bytes for each in told)
    assert (told[-1].n_done_bytes, told[-1].n_total_bytes) == (total, total)
    assert total <= (tmp_path / "out" / DATA_FILE).stat().st_size <= total + 64 * len(planned) * 2
    whys = {item.name: (item.bits, item.why) for item in planned}
    assert whys["blk.0.attn_qkv.weight"] == (4, "blocks of 32")
    assert whys["output_norm.weight"] == (32, "kept: a norm")
    assert whys["output.weight"] == (4, "the bytes of token_embd.weight")


@pytest.mark.parametrize("n_threads", [1, 3])
def test_threads_do_not_change_the_bytes(smollm2: Model, n_threads: int, tmp_path: Path) -> None:
    one, other = (written(smollm2, tmp_path / name, bits=4, n_threads=n) for name, n in (("a", 2), ("b", n_threads)))
    for name in (MODEL_FILE, DATA_FILE):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def broken(model: Model, name: str, value: float) -> Model:
    def with_value(tensor: Tensor) -> Tensor:
        def read() -> F32:
            values: F32 = tensor.read().copy()
            values.flat[-1] = value
            return values

        return Tensor(tensor.name, tensor.shape, tensor.dtype, read) if tensor.name == name else tensor

    return replace(model, tensors=[with_value(tensor) for tensor in model.tensors])


@pytest.mark.parametrize("name", ["blk.1.ffn_down.weight", "blk.1.attn_norm.weight", "token_embd.weight"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_leave_nothing(smollm2: Model, name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{name}: it holds NaN or infinity: fetch the checkpoint again"):
        write_graph(broken(smollm2, name, value), tmp_path, OnnxOptions())
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_leaves_nothing(smollm2: Model, tmp_path: Path) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_graph(smollm2, tmp_path, OnnxOptions(), interrupt)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(smollm2: Model, tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match="cannot be written"):
        write_graph(smollm2, tmp_path / "missing", OnnxOptions())


def imatrix_file(path: Path, rows: dict[str, F32]) -> Path:
    """An importance matrix in the older form, .dat."""
    with path.open("wb") as file:
        file.write(struct.pack("<i", len(rows)))
        for name, values in rows.items():
            file.write(struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", 1, len(values)))
            file.write(values.astype("<f4").tobytes())
    return path


def test_an_importance_matrix_spares_what_matters(smollm2: Model, tmp_path: Path) -> None:
    """All columns of one matrix but the first eight do not matter: those come out better."""
    weights = {tensor.name: tensor for tensor in smollm2.tensors}
    name = "blk.0.attn_output.weight"
    n_cols = weights[name].shape[1]
    counts = np.where(np.arange(n_cols) < 8, 1.0, 1e-6).astype(np.float32)
    path = imatrix_file(tmp_path / "importance.dat", {name: counts})

    def error(**options: Any) -> float:
        folder = written(smollm2, tmp_path / f"out{len(options)}", bits=4, **options)
        data, found = (folder / DATA_FILE).read_bytes(), places(folder)
        codes = np.frombuffer(data, np.uint8, *found[name][::-1]).reshape(n_cols, -1)
        scales = np.frombuffer(data, np.float32, found[f"{name}.scales"][1] // 4, found[f"{name}.scales"][0])
        halves = np.stack([codes & 15, codes >> 4], axis=-1).reshape(n_cols, -1)[:, :8].astype(np.float32) - 8
        values = halves * scales.reshape(n_cols, -1)[:, :1]
        return float(np.square(values - weights[name].read()[:, :8]).sum())

    assert error(imatrix=path) < 0.9 * error()


def test_an_importance_matrix_of_another_model_is_refused(smollm2: Model, tmp_path: Path) -> None:
    path = imatrix_file(tmp_path / "i.dat", {"blk.0.attn_output.weight": np.ones(3, np.float32)})
    (tmp_path / "out").mkdir()
    with pytest.raises(QuantizeError, match=r"has 3 numbers for blk\.0\.attn_output\.weight, expected 64"):
        write_graph(smollm2, tmp_path / "out", OnnxOptions(imatrix=path))


def test_the_same_model_out_of_a_gguf(smollm2: Model, tmp_path: Path) -> None:
    from quantize.pipeline import Options, quantize_model

    path = tmp_path / "model.gguf"
    quantize_model(smollm2, path, Options(ftype="F32"))
    one, other = written(smollm2, tmp_path / "a", bits=4), written(open_model(path), tmp_path / "b", bits=4)
    for name in (MODEL_FILE, DATA_FILE):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert difference(Runner(one, N_SHORT).in_pieces(text(9), 4), Runner(other, N_SHORT).in_pieces(text(9), 4)) == 0
