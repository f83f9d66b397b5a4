"""Collected importance against numpy's forward pass and against llama-imatrix's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeai.errors import QuantizeError
from edgeai.gguf_header import read_header
from quantize.collect import collect
from quantize.evaluate import Evaluator, windows
from quantize.imatrix import read_imatrix
from quantize.isolated.collector import Collector, _ggml, read_window
from quantize.texts import calibration_text
from tests.quantize.imatrix_models import N_CHUNKS, N_CTX, N_EXPERTS, experts_model, squared_inputs
from tests.quantize.make_imatrix_oracle import ORACLE
from tests.tiny import KINDS, Kind, tiny_model


def test_the_sums_are_those_of_the_forward_pass(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    with Evaluator(path, n_ctx=N_CTX) as model:
        taken = windows(model.tokenize(calibration_text()), N_CTX, 2)
    expected = squared_inputs(path, np.stack(taken))
    collected = collect(path, calibration_text(), n_ctx=N_CTX, n_chunks=2)
    assert collected.entries.keys() == expected.keys()
    for name, entry in collected.entries.items():
        # the KV cache is float16
        np.testing.assert_allclose(entry.sums, expected[name], rtol=0.01, err_msg=name)
        assert entry.counts.tolist() == [2 * N_CTX]


@pytest.mark.parametrize(("name", "make"), [("llama", tiny_model), ("experts", experts_model)])
def test_the_sums_are_those_of_llama_imatrix(name: str, make: Callable[[Path], Path], tmp_path: Path) -> None:
    theirs = read_imatrix(ORACLE / f"imatrix-{name}.imatrix")
    ours = collect(
        make(tmp_path / "a.gguf"), calibration_text(), dataset="calibration.txt", n_ctx=N_CTX, n_chunks=N_CHUNKS
    )
    assert (ours.datasets, ours.n_chunks, ours.chunk_size) == (theirs.datasets, theirs.n_chunks, theirs.chunk_size)
    assert list(ours.entries) == list(theirs.entries)
    for key, entry in ours.entries.items():
        np.testing.assert_array_equal(entry.counts, theirs.entries[key].counts)
        np.testing.assert_allclose(entry.sums, theirs.entries[key].sums, rtol=1e-3, err_msg=key)


def test_each_expert_has_its_own_sums(tmp_path: Path) -> None:
    collected = collect(experts_model(tmp_path / "a.gguf"), calibration_text(), n_ctx=N_CTX, n_chunks=2)
    entry = collected.entries["blk.0.ffn_down_exps.weight"]
    assert len(entry.counts) == N_EXPERTS
    assert entry.counts.sum() == 2 * N_CTX * 2  # every token goes to two


@pytest.mark.parametrize("kind", KINDS)
def test_every_quantized_matrix_of_a_layer_is_seen(kind: Kind, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf", kind)
    seen = set(collect(path, calibration_text(), n_ctx=64, n_chunks=2).entries)
    matrices = {"attn_q", "attn_output", "attn_qkv", "ffn_up", "ffn_down", "ssm_in", "ssm_out"}
    expected = {name for name in _tensor_names(path) if name.split(".")[-2] in matrices}
    assert expected <= seen


def _tensor_names(path: Path) -> list[str]:
    return [tensor.name for tensor in read_header(path).tensors if tensor.name.startswith("blk.")]


def test_the_output_matrix_is_left_out_unless_wanted(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    assert "output.weight" not in collect(path, calibration_text(), n_ctx=64, n_chunks=2).entries
    assert "output.weight" in collect(path, calibration_text(), n_ctx=64, n_chunks=2, process_output=True).entries


def test_progress_is_told_after_every_window(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    collect(
        tiny_model(tmp_path / "a.gguf"),
        calibration_text(),
        n_ctx=64,
        n_chunks=2,
        on_progress=lambda *done: told.append(done),
    )
    assert told == [(1, 2), (2, 2)]


def test_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf")
    data = bytearray(path.read_bytes())
    data[-400_000:] = b"\xff" * 400_000
    path.write_bytes(data)
    with pytest.raises(QuantizeError, match=r"a\.gguf: the inputs of blk\.\d\.\w+\.weight are not numbers"):
        collect(path, calibration_text(), n_ctx=64, n_chunks=2)


def test_another_layout_of_tensors_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ggml(), "ggml_nelements", lambda _address: 7)
    collector = Collector()
    with (
        Evaluator(tiny_model(tmp_path / "a.gguf"), n_ctx=64, eval_callback=collector.callback) as model,
        pytest.raises(QuantizeError, match=r"a\.gguf: this llama.cpp lays its tensors out in another way"),
    ):
        read_window(model, model.tokenize(calibration_text())[:64], collector)
