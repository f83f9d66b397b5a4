"""Sound files are read as the safetensors package reads them; others are refused, in one line."""

from __future__ import annotations

import json
import os
import struct
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from edgeai.errors import CheckpointError
from quantize.safetensors import open_safetensors
from quantize.safetensors_header import BITS
from tests.quantize.safetensors_files import (
    NUMPY_TYPES,
    as_the_package_reads,
    file_of,
    official_values,
    one,
    packed,
    refused,
)

# --- what is sound


@pytest.mark.parametrize("dtype", [*NUMPY_TYPES, "BF16"])
@pytest.mark.parametrize("shape", [[], [0], [5], [3, 7], [2, 3, 4], [1, 1, 1, 1, 6]])
def test_reads_what_the_package_reads(dtype: str, shape: list[int], tmp_path: Path) -> None:
    n = int(np.prod(shape, dtype=int))
    data = np.random.default_rng(1).integers(0, 2 if dtype == "BOOL" else 60, n * BITS[dtype] // 8, np.uint8).tobytes()
    raw = packed({"odd": ("U8", [3], b"abc"), "x": (dtype, shape, data)})
    (tmp_path / "m.safetensors").write_bytes(raw)
    tensors = open_safetensors(tmp_path / "m.safetensors")
    assert list(tensors) == ["odd", "x"]
    for name, expected in official_values(raw).items():
        found = tensors[name].read()
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected, strict=True)
    assert (tensors["x"].dtype, tensors["x"].shape, tensors["x"].n_elements) == (dtype, tuple(shape), n)


def test_reads_what_the_package_writes(tmp_path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        name: np.arange(1, 13).astype(dtype).reshape(3, 4) for name, dtype in NUMPY_TYPES.items()
    }
    save_file(arrays, tmp_path / "m.safetensors", {"format": "pt"})
    for name, tensor in open_safetensors(tmp_path / "m.safetensors").items():
        assert tensor.dtype == name
        np.testing.assert_array_equal(tensor.read(), arrays[name].astype(np.float32), strict=True)


def test_every_pattern_of_sixteen_bits(tmp_path: Path) -> None:
    """Subnormal numbers, infinities and NaNs with their payload too."""
    data = np.arange(2**16, dtype="<u2").tobytes()
    raw = packed({"bf16": ("BF16", [2**16], data), "f16": ("F16", [2**16], data)})
    (tmp_path / "m.safetensors").write_bytes(raw)
    tensors = open_safetensors(tmp_path / "m.safetensors")
    expected = official_values(raw)
    np.testing.assert_array_equal(tensors["bf16"].read().view(np.uint32), expected["bf16"].view(np.uint32))
    np.testing.assert_array_equal(tensors["f16"].read(), expected["f16"])


def test_a_double_beyond_float32_becomes_infinite(tmp_path: Path) -> None:
    path = file_of(tmp_path / "m.safetensors", one("F64", [2], [0, 16]), struct.pack("<2d", 1e300, -1.5))
    assert open_safetensors(path)["a"].read().tolist() == [np.inf, -1.5]


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F64"])
def test_rows(dtype: str, tmp_path: Path) -> None:
    """Also over the edges of the buffer through which a tensor is read."""
    shape, size = [3001, 700], BITS[dtype] // 8
    data = np.random.default_rng(2).integers(0, 60, 3001 * 700 * size, np.uint8).tobytes()
    (tmp_path / "m.safetensors").write_bytes(packed({"x": (dtype, shape, data)}))
    tensor = open_safetensors(tmp_path / "m.safetensors")["x"]
    whole = tensor.read()
    assert np.array_equal(whole, official_values((tmp_path / "m.safetensors").read_bytes())["x"])
    for start, stop in [(0, 3001), (0, 0), (3001, 3001), (17, 18), (1000, 2999)]:
        np.testing.assert_array_equal(tensor.read_rows(start, stop), whole[start:stop], strict=True)
    for start, stop in [(-1, 2), (2, 1), (0, 3002)]:
        with pytest.raises(IndexError, match="3001"):
            tensor.read_rows(start, stop)


def test_order_names_and_spaces(tmp_path: Path) -> None:
    """Names are sorted as the package sorts them, whatever their order in the header and in the data."""
    text = (
        '{ "b.ü" :{"shape":[1],"dtype":"U8" , "data_offsets":[1,2]},\n"\\u0061":{"dtype":"U8","shape":[1],'
        '"data_offsets":[2,3]},"__metadata__":{"a}":"\\"{"},"c":{"data_offsets":[0,1],"shape":[],"dtype":"U8"} }   '
    )
    path = file_of(tmp_path / "m.safetensors", text.encode(), b"\1\2\3")
    tensors = open_safetensors(path)
    assert {name: t.read().ravel().tolist() for name, t in tensors.items()} == {"a": [3], "b.ü": [2], "c": [1]}
    assert list(tensors) == sorted(as_the_package_reads(path.read_bytes()))


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """A sparse file of a terabyte is opened at once, and rows at its end are read."""
    path = file_of(tmp_path / "m.safetensors", one("F32", [2**28, 2**10], [0, 2**40]))
    os.truncate(path, path.stat().st_size + 2**40)
    tensor = open_safetensors(path)["a"]
    assert not tensor.read_rows(2**28 - 2, 2**28).any()


def test_reading_takes_little_more_than_the_result(tmp_path: Path) -> None:
    path = file_of(tmp_path / "m.safetensors", one("BF16", [2**24], [0, 2**25]))
    os.truncate(path, path.stat().st_size + 2**25)
    tensor = open_safetensors(path)["a"]
    tracemalloc.start()
    try:
        tensor.read()
        assert tracemalloc.get_traced_memory()[1] < 2**26 + 2**23
    finally:
        tracemalloc.stop()


# --- what is not


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"\1\2\3", "3 bytes"),
        (b"PK\x03\x04" + b"\0" * 60, "PyTorch checkpoint"),
        (b"\x80\x02}q\0." + b"\0" * 60, "pickle, which runs code"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "git lfs pull"),
        (b"GGUF" + b"\0" * 60, "a GGUF file"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (struct.pack("<Q", 2**63) + b"{}", "claims 9,223,372,036,854,775,808 bytes"),
        (struct.pack("<Q", 2**64 - 8) + b"{}", "claims"),
        (struct.pack("<Q", 3) + b"{}", "claims 3 bytes"),
        (struct.pack("<Q", 0), "header's beginning"),
    ],
)
def test_not_a_safetensors_file(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    assert said in refused(tmp_path / "m.safetensors")


def test_a_length_that_looks_like_a_pickle_is_a_length(tmp_path: Path) -> None:
    raw = json.dumps(one()).encode().ljust(0x80)
    tensors = open_safetensors(file_of(tmp_path / "m.safetensors", raw, b"\0" * 8))
    assert tensors["a"].shape == (2,)


def test_a_header_above_the_limit_of_the_format(tmp_path: Path) -> None:
    path = file_of(tmp_path / "m.safetensors", b"{", n_header_bytes=100_000_001)
    os.truncate(path, 200_000_000)
    assert "at most 100,000,000" in refused(path)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"[]", "header's beginning"),
        (b" ", "header's beginning"),
        (b"{}", "a tensor's name"),
        (b'{"a"', "the entry of 'a'"),
        (b'{"a":1}', "expected dtype, shape and data_offsets"),
        (b'{"a":{}}', "expected dtype, shape and data_offsets"),
        (b'{1:{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "expected printable text"),
        (b'{"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "expected printable text"),
        (b'{"a\\u0000b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "expected printable text"),
        (b'{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "expected printable text"),
        (b'{"\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "not JSON"),
        (b'{"' + b"a" * 5000 + b'":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "at most 4,096 bytes"),
        (b'{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', "a key is there twice"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},}', "a tensor's name"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}', "the end of the entry of 'a'"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}{}', "goes on after its end"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}\0', "goes on after its end"),
        (b'{"a":' + b"[" * 100_000, "not JSON"),
        (b'{"a":{"dtype":"F32","shape":[' + b"1," * 100_000, "not JSON"),
        (b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}', "not JSON"),
        (b'{"__metadata__":{"a":"' + b"x" * 2**20, "at most 1,048,576 bytes"),
        (one(dtype="F33"), "dtype 'F33'"),
        (one(dtype=[]), "dtype '[]'"),
        (one(dtype="f32"), "dtype 'f32'"),
        (one(shape=2), "shape 2"),
        (one(shape=[-2]), "shape [-2]"),
        (one(shape=[2.0]), "shape [2.0]"),
        (one(shape=[True]), "shape [True]"),
        (one(shape=["2"]), "shape ['2']"),
        (one(shape=[float("nan")]), "NaN is not JSON"),
        (one(shape=[2**63]), "whole numbers"),
        (one(shape=[2**62, 4]), "at most 281,474,976,710,656 numbers"),
        (one(shape=[2**62, 2**62, 0], offsets=(0, 0)), "at most 281,474,976,710,656 numbers"),
        (one(shape=[1] * 33), "at most 32"),
        (one(shape=[3]), "has 8 bytes, expected 12"),
        (one(shape=[]), "has 8 bytes, expected 4"),
        (one("F4", [3], (0, 2)), "has 2 bytes, expected 1.5"),
        (one("F64", [2**45], (0, 8)), "expected 281,474,976,710,656"),
        (one(offsets=[0]), "two whole numbers"),
        (one(offsets=[0, 8, 8]), "two whole numbers"),
        (one(offsets=[8, 0]), "an end after the beginning"),
        (one(offsets=[-8, 0]), "two whole numbers"),
        (one(offsets=[0, 2**64]), "two whole numbers"),
        (one(offsets=[2**62, 2**62 + 8]), "no more than the 8 bytes of data"),
        (one(offsets=[0, 16], shape=[4]), "no more than the 8 bytes of data"),
        (one(shape=[1], offsets=[0, 4]), "the file's end lies 4 bytes after the end of 'a'"),
        (one(shape=[1], offsets=[4, 8]), "'a' lies 4 bytes after the end of the header"),
        ({**one(), "b": one()["a"]}, "'b' overlaps 'a'"),
        ({**one(shape=[1], offsets=[0, 4]), "b": one("U8", [6], [2, 8])["a"]}, "'b' overlaps 'a'"),
        ({**one(shape=[1], offsets=[0, 4]), "b": one("U8", [2], [6, 8])["a"]}, "'b' lies 2 bytes after the end of 'a'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_headers_that_lie(header: Any, said: str, tmp_path: Path) -> None:
    assert said in refused(file_of(tmp_path / "m.safetensors", header, b"\0" * 8))


def test_a_tensor_twice(tmp_path: Path) -> None:
    entry = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    raw = b'{"a":' + entry + b',"a":' + entry.replace(b"0,4", b"4,8") + b"}"
    assert "'a' is there twice" in refused(file_of(tmp_path / "m.safetensors", raw, b"\0" * 8))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    raw = packed({"x": ("BF16", [2, 3], b"\0" * 12), "y": ("F32", [], b"\0" * 4)})
    for n in range(len(raw)):
        (tmp_path / "m.safetensors").write_bytes(raw[:n])
        refused(tmp_path / "m.safetensors")


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.safetensors")
    assert "not a regular file" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert "not a regular file" in refused(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize("change", ["shorter", "longer", "rewritten", "gone"])
def test_a_file_that_changes_after_it_was_opened(change: str, tmp_path: Path) -> None:
    path = file_of(tmp_path / "m.safetensors", one(), b"\0" * 8)
    tensor = open_safetensors(path)["a"]
    if change == "gone":
        path.unlink()
    elif change == "rewritten":
        os.utime(path, (1, 1))
    else:
        os.truncate(path, path.stat().st_size + (4 if change == "longer" else -4))
    with pytest.raises(CheckpointError, match="'a' cannot be read"):
        tensor.read()


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E8M0", "C64"])
def test_types_without_a_meaning_of_their_own(dtype: str, tmp_path: Path) -> None:
    """They are listed, so that a message can name the tensor, and cannot be read."""
    size = BITS[dtype] // 8
    (tmp_path / "m.safetensors").write_bytes(packed({"w": (dtype, [2], b"\0" * 2 * size)}))
    tensor = open_safetensors(tmp_path / "m.safetensors")["w"]
    with pytest.raises(CheckpointError, match=f"'w' has dtype {dtype}, expected one of F64"):
        tensor.read()


def test_too_many_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantize.safetensors_header._MAX_TENSORS", 3)
    entries = {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(4)}
    assert "more than 3 tensors" in refused(file_of(tmp_path / "m.safetensors", entries))


def test_no_memory_for_a_tensor(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("other systems hand out more addresses than they have")
    path = file_of(tmp_path / "m.safetensors", one("U8", [2**42], [0, 2**42]))
    os.truncate(path, path.stat().st_size + 2**42)
    with pytest.raises(CheckpointError, match=r"'a' needs 17,592,186,044,416 bytes of memory"):
        open_safetensors(path)["a"].read()
