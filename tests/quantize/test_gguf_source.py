"""GGUF files as sources: what is read, what is copied, and files that change or lie."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.errors import CheckpointError, EdgeAIError, ModelFormatError, QuantizeError
from edgeai.gguf_header import GGUFHeader, read_header
from quantize import Options, quantize
from quantize.base import Meta
from quantize.ggml import decode
from quantize.gguf_format import decode_metadata, encode_header
from quantize.gguf_source import GGUFTensor, read_gguf, stored_type
from tests.crafted_models import MEANING
from tests.quantize.float_files import contents, float_file, mixtral
from tests.tiny import tiny_model


def tensors_of(path: Path) -> dict[str, GGUFTensor]:
    _, tensors = read_gguf(path, allow_requantize=True)
    return {tensor.name: tensor for tensor in tensors if isinstance(tensor, GGUFTensor)}


@pytest.mark.parametrize("stored", ["F32", "F16", "BF16", "Q8_0", "Q4_K_M"])
def test_tensors_are_those_that_gguf_py_reads(stored: str, tmp_path: Path) -> None:
    path = float_file(tmp_path, "llama", stored)
    ours = tensors_of(path)
    for tensor in GGUFReader(path).tensors:
        mine = ours[tensor.name]
        assert mine.shape == tuple(int(size) for size in reversed(tensor.shape))
        assert mine.dtype == stored_type(mine) == tensor.tensor_type.name
        rows = (
            np.ascontiguousarray(tensor.data)
            .view(np.uint8)
            .reshape(-1, tensor.data.nbytes // (mine.n_elements // mine.shape[-1]))
        )
        expected = decode(rows, mine.dtype, mine.shape[-1]).reshape(mine.shape)
        np.testing.assert_array_equal(mine.read(), expected)
        if len(mine.shape) > 1:
            np.testing.assert_array_equal(mine.read_rows(1, 3), expected[1:3])


def test_parts_of_stacks_are_whole_matrices(tmp_path: Path) -> None:
    stack = tensors_of(mixtral(tmp_path / "a.gguf"))["blk.0.ffn_down_exps.weight"]
    assert stack.shape == (8, 256, 96)
    np.testing.assert_array_equal(stack.read_rows(2, 5), stack.read()[2:5])
    assert stack.read_encoded(2, 5).shape == (3 * 256, 4 * 96)
    for start, stop in ((-1, 2), (3, 2), (0, 9)):
        with pytest.raises(IndexError):
            stack.read_rows(start, stop)


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = float_file(tmp_path, "llama")
    tensor = tensors_of(path)["output.weight"]
    os.utime(path, ns=(0, 0))
    with pytest.raises(CheckpointError, match=r"output\.weight cannot be read any more: the file has changed"):
        tensor.read()
    tensor = tensors_of(path)["output.weight"]
    path.unlink()
    with pytest.raises(CheckpointError, match="No such file"):
        tensor.read()


def test_another_file_that_takes_its_place_while_it_is_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = float_file(tmp_path, "llama"), tmp_path / "other.gguf"
    shutil.copy2(path, other)  # of the same size and time

    def swapped(name: Path) -> GGUFHeader:
        header = read_header(name)
        other.replace(path)
        return header

    monkeypatch.setattr("quantize.gguf_source.read_header", swapped)
    with pytest.raises(QuantizeError, match="changed while it was opened"):
        read_gguf(path, allow_requantize=False)


def test_another_file_of_the_same_size_and_time_is_an_error(tmp_path: Path) -> None:
    path, other = float_file(tmp_path, "llama"), tmp_path / "other.gguf"
    tensor = tensors_of(path)["output.weight"]
    shutil.copy2(path, other)
    other.replace(path)
    with pytest.raises(CheckpointError, match=r"output\.weight cannot be read any more: the file has changed"):
        tensor.read()


def test_a_plamo_2_file_of_the_official_converter_names_the_remedy(tmp_path: Path) -> None:
    (case,) = (case for case in MEANING if case.name == "no-heads-in-layer-0")
    case.write(tmp_path / "a.gguf")
    with pytest.raises(ModelFormatError, match="make the file again with `quantize` from the model's own folder"):
        read_header(tmp_path / "a.gguf")


def test_a_part_of_a_model_is_refused(tmp_path: Path) -> None:
    whole, part = float_file(tmp_path, "llama"), tmp_path / "part.gguf"
    data, tensors = whole.read_bytes(), read_header(whole).tensors
    metadata = [*decode_metadata(data), Meta("split.count", 3, GGUFValueType.UINT16)]
    head = encode_header(metadata, [(tensor.name, tensor.shape[::-1], tensor.type) for tensor in tensors])
    part.write_bytes(head + data[tensors[0].offset :])
    with pytest.raises(ModelFormatError, match=r"part 1 of 3 .* join the parts first"):
        quantize(part, tmp_path / "out.gguf")
    metadata[-1] = Meta("split.count", 1, GGUFValueType.UINT16)
    head = encode_header(metadata, [(tensor.name, tensor.shape[::-1], tensor.type) for tensor in tensors])
    part.write_bytes(head + data[tensors[0].offset :])
    assert quantize(part, tmp_path / "out.gguf", Options(ftype="F32")).path.read_bytes() == data


@pytest.mark.parametrize("stored", ["F32", "F16", "Q8_0"])
def test_what_is_not_finite_is_found_where_it_is_copied_too(stored: str, tmp_path: Path) -> None:
    path = float_file(tmp_path, "llama", stored)
    tensor = next(tensor for tensor in GGUFReader(path).tensors if tensor.name == "blk.1.attn_k.weight")
    bad = {"F32": np.float32(np.nan), "F16": np.float16(np.inf), "Q8_0": np.float16(np.nan)}[stored].tobytes()
    with path.open("r+b") as file:
        file.seek(int(tensor.data_offset))
        file.write(bad)
    options = Options(ftype=stored, allow_requantize=True)
    with pytest.raises(CheckpointError, match=r"blk\.1\.attn_k\.weight: it holds NaN or infinity.*--allow-nan"):
        quantize(path, tmp_path / "out.gguf", options)
    allowed = quantize(path, tmp_path / "out.gguf", Options(ftype=stored, allow_requantize=True, allow_nan=True))
    assert contents(allowed.path) == contents(path)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 16_000), value=st.binary(min_size=1, max_size=8), cut=st.integers(0, 3))
def test_damaged_heads_are_refused_or_read_and_nothing_else(
    place: int, value: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz", numbered=True)
    data = bytearray(_tiny(tmp_path_factory))
    data[place : place + len(value)] = value
    path = folder / "a.gguf"
    path.write_bytes(data[: len(data) - cut * 1000])
    out = folder / "out.gguf"
    with contextlib.suppress(EdgeAIError):
        quantize(path, out, Options(ftype="Q8_0", allow_requantize=True, n_threads=1))
        assert read_header(out).tensors
    assert {file.name for file in folder.iterdir()} <= {"a.gguf", "out.gguf"}
    shutil.rmtree(folder)


_CACHE: dict[str, bytes] = {}


def _tiny(factory: pytest.TempPathFactory) -> bytes:
    if "data" not in _CACHE:
        _CACHE["data"] = tiny_model(factory.mktemp("tiny") / "a.gguf").read_bytes()
    return _CACHE["data"]


def test_folders_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeAIError, match="no such"):
        quantize(tmp_path / "missing.gguf", tmp_path / "out.gguf")
    with pytest.raises(QuantizeError, match="is a folder"):
        quantize(float_file(tmp_path, "llama"), tmp_path, Options(force=True))
    source = tmp_path / "llama-F32.gguf"
    (tmp_path / "link.gguf").symlink_to(source)
    with pytest.raises(QuantizeError, match="is the source itself"):
        quantize(source, tmp_path / "link.gguf", Options(force=True))
