"""The tiny checkpoints are the ones the oracle speaks of, bit by bit, and what they seem to be."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quantize.oracles import (
    LOGITS,
    N_LONG,
    N_SHORT,
    ORACLE,
    file_digests,
    logits,
    oracle,
    recorded,
    rounded,
    text,
)
from tests.quantize.tiny_checkpoints import CASES, KINDS, case_checkpoint, tiny_checkpoint
from tests.quantize.tiny_weights import Weights, draw, encode

_LARGE = {name for name, arguments in CASES.items() if arguments["kind"] == "plamo"}
_SMALL = [name for name in CASES if name not in _LARGE]


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_is_the_one_the_oracle_was_made_of(tmp_path: Path, case: str) -> None:
    folder = case_checkpoint(tmp_path, case)
    assert file_digests(folder) == oracle(case)["files"]
    assert case in _LARGE or sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000


def test_the_oracle_has_no_cases_left_over() -> None:
    with np.load(LOGITS) as file:
        assert {name.removesuffix("-long").removesuffix("-picture") for name in file.files} <= set(CASES)
    made_of_a_checkpoint = {path.stem for path in ORACLE.glob("*.json") if oracle(path.stem).get("checkpoint")}
    assert made_of_a_checkpoint == set(CASES)
    assert sum(path.stat().st_size for path in ORACLE.iterdir()) < 2_500_000


@pytest.mark.parametrize("case", _SMALL)
def test_what_is_recorded_goes_together(case: str) -> None:
    result = oracle(case)
    tensors = list(result["tensors"].values())
    for ftype, quantized in result["quantized"].items():
        assert sorted(quantized["order"]) == list(range(len(tensors))), ftype
        assert all(entry["types"][ftype] in " ".join(entry["sha256"]) for entry in tensors)
    assert result["converter"].get("differing", {}) == {}
    config = KINDS[CASES[case]["kind"]].config()
    if "top1" in result:
        assert result["tokens"] == text(N_SHORT)
        assert len(result["top1"]) == N_SHORT
        rows = logits(case)
        at_top = rows[range(3), result["top1"][-3:]]
        assert (at_top >= rows.max(axis=1) * (1 - 2.0**-11)).all()  # but for what rounding made a tie
        assert logits(case).shape == (3, config.get("text_config", config)["vocab_size"])
        for errors in result["llama_cpp_error"].values():
            assert errors["F32"] < 1e-3
            assert errors["F16"] < 1e-2
        assert result["llama_cpp_same"]["F32"] == N_SHORT


def test_rows_of_whole_and_of_broken_superblocks_occur() -> None:
    rows = {entry["shape"][-1] % 256 for case in _SMALL for entry in oracle(case)["tensors"].values()}
    assert 0 in rows
    assert len(rows) > 3
    types = {kind for case in _SMALL for entry in oracle(case)["tensors"].values() for kind in entry["sha256"]}
    assert types >= {
        "Q2_K",
        "Q3_K",
        "Q4_K",
        "Q5_K",
        "Q6_K",
        "Q8_0",
        "Q5_0",
        "Q5_1",
        "IQ4_NL",
        "IQ4_XS",
        "IQ2_XXS+imatrix",
    }


@pytest.mark.parametrize(("dtype", "size"), [("bf16", 2), ("f16", 2), ("f32", 4)])
@pytest.mark.parametrize("shards", [1, 3])
def test_shards_hold_every_tensor_once_and_end_where_they_say(
    tmp_path: Path, dtype: str, size: int, shards: int
) -> None:
    folder = tiny_checkpoint(tmp_path / "a" / "b", "smollm2", dtype=dtype, shards=shards)  # type: ignore[arg-type]
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == shards
    names: list[str] = []
    for path in files:
        header = _header(path)
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            assert entry["dtype"] == dtype.upper()
            assert end - start == size * int(np.prod(entry["shape"]))
            names.append(name)
        assert max(entry["data_offsets"][1] for entry in header.values()) == _data_size(path)
    assert len(set(names)) == len(names) == len(oracle("smollm2")["tensors"])
    index = folder / "model.safetensors.index.json"
    assert index.exists() == (shards > 1)
    if index.exists():
        listed = json.loads(index.read_text())
        assert sorted(listed["weight_map"]) == sorted(names)
        assert listed["metadata"]["total_size"] == sum(_data_size(path) for path in files)


def test_tied_embeddings_leave_the_output_matrix_out(tmp_path: Path) -> None:
    tied = tiny_checkpoint(tmp_path / "tied", "llama-biased", tied=True)
    untied = tiny_checkpoint(tmp_path / "untied", "llama-biased", tied=False)
    left_out = set(_header(untied / "model.safetensors")) - set(_header(tied / "model.safetensors"))
    assert left_out == {"lm_head.weight"}


def test_the_seed_changes_weights_and_nothing_else(tmp_path: Path) -> None:
    first, second = (file_digests(tiny_checkpoint(tmp_path / str(seed), "phi2", seed=seed)) for seed in (0, 1))
    assert {name for name in first if first[name] != second[name]} == {"model.safetensors"}


def test_weights_are_nearly_normal_and_their_own() -> None:
    values = draw("a", Weights((300, 1000), 2.0, 1.0), 0)
    assert abs(values.mean() - 1) < 0.02
    assert abs(values.std() - 2) < 0.02
    assert abs(values - 1).max() < 7
    assert not np.array_equal(values, draw("b", Weights((300, 1000), 2.0, 1.0), 0))
    assert np.array_equal(values.ravel()[:9], draw("a", Weights((9,), 2.0, 1.0), 0))


def test_bf16_is_rounded_to_nearest_and_even() -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, -3.14159274, 65504.0], dtype=np.float32)
    assert struct.unpack("<5H", encode(values, "bf16")) == (0x3F80, 0x3F80, 0x3F82, 0xC049, 0x4780)


def test_values_are_recorded_alike_from_python_and_from_a_file() -> None:
    assert recorded("FLOAT32", 1e-5) == recorded("FLOAT32", np.float32(1e-5)) == ["FLOAT32", 9.999999747378752e-06]
    assert recorded("STRING", b"\xe7\x8c\xab") == ["STRING", "猫"]
    assert recorded("ARRAY", [1, 2], "INT32") == ["ARRAY", "INT32", [1, 2]]
    assert recorded("ARRAY", range(17), "INT32") == recorded("ARRAY", np.arange(17), "INT32")
    assert recorded("ARRAY", range(17), "INT32")[2]["n"] == 17


def test_rounding_costs_less_than_a_thousandth() -> None:
    values = draw("a", Weights((1000,), 1.0), 0)
    assert np.abs(rounded(values) / values - 1).max() < 2.0**-12


def test_texts_stay_among_ordinary_tokens() -> None:
    assert 20 <= min(text(N_LONG)) <= max(text(N_LONG)) < 460
    assert len(set(text(N_SHORT))) > 40


def _header(path: Path) -> dict[str, dict[str, Any]]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header: dict[str, dict[str, Any]] = json.loads(data[8 : 8 + length])
    del header["__metadata__"]
    return header


def _data_size(path: Path) -> int:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size - 8 - int.from_bytes(file.read(8), "little")
