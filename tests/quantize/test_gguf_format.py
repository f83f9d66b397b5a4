"""Heads of GGUF files: gguf-py reads what is written, and what gguf-py wrote comes back byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.errors import QuantizeError
from edgeai.gguf_header import read_header
from quantize.base import Meta
from quantize.gguf_format import decode_metadata, encode_header, padded, tensor_bytes
from tests.tiny import KINDS, Kind, tiny_model

T = GGUFValueType
KEYS = [
    Meta("general.architecture", "llama", T.STRING),
    Meta("a.text", "猫 and \0 more", T.STRING),
    *(Meta(f"a.{kind.name}", 7, kind) for kind in T if kind not in (T.STRING, T.ARRAY, T.BOOL)),
    Meta("a.negative", -(2**63), T.INT64),
    Meta("a.bool", True, T.BOOL),
    Meta("a.texts", ["a", "", "猫"], T.ARRAY, T.STRING),
    Meta("a.empty", [], T.ARRAY, T.INT32),
    Meta("a.bools", [True, False], T.ARRAY, T.BOOL),
    Meta("a.floats", [0.1, -1e30], T.ARRAY, T.FLOAT32),
    Meta("a.longs", [2**64 - 1, 0], T.ARRAY, T.UINT64),
]
TENSORS: list[tuple[str, tuple[int, ...], str]] = [
    ("token_embd.weight", (5, 256), "Q4_K"),
    ("blk.0.scale", (), "F32"),
    ("blk.0.norm", (3,), "F32"),
    ("blk.0.experts", (2, 3, 64), "Q8_0"),
    ("blk.0.one_row", (1, 1, 32), "Q4_0"),
    ("blk.0.column", (7, 1), "F16"),
]


def test_gguf_py_reads_what_is_written(tmp_path: Path) -> None:
    head = encode_header(KEYS, TENSORS)
    assert len(head) % 32 == 0
    path = tmp_path / "a.gguf"
    path.write_bytes(head + bytes(sum(padded(tensor_bytes(shape, qtype)) for _, shape, qtype in TENSORS)))
    reader = GGUFReader(path)
    found = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert list(found) == [meta.key for meta in KEYS]
    for meta in KEYS:
        field = found[meta.key]
        assert field.types == ([T.ARRAY, meta.item_type] if meta.item_type is not None and meta.value else [meta.type])
        expected = np.float32(meta.value).tolist() if meta.key == "a.floats" else meta.value
        assert field.contents() == (expected or []) or meta.key == "a.empty"
    shapes = {tensor.name: [int(size) for size in tensor.shape] for tensor in reader.tensors}
    assert shapes == {
        "token_embd.weight": [256, 5],
        "blk.0.scale": [1],
        "blk.0.norm": [3],
        "blk.0.experts": [64, 3, 2],
        "blk.0.one_row": [32],
        "blk.0.column": [1, 7],
    }
    assert [tensor.tensor_type.name for tensor in reader.tensors] == [qtype for _, _, qtype in TENSORS]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_gguf_py_comes_back_byte_by_byte(kind: Kind, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "a.gguf", kind)
    header, data = read_header(path), path.read_bytes()
    tensors = [(tensor.name, tensor.shape[::-1], tensor.type) for tensor in header.tensors]
    head = encode_header(decode_metadata(data), tensors)
    assert head == data[: len(head)]
    assert len(head) == header.tensors[0].offset


def test_what_is_not_utf8_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_array("a.texts", [b"\xff\xfe", b"plain"])
    writer.add_string("a.text", "x")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    metadata = decode_metadata(path.read_bytes())
    assert encode_header(metadata, []).startswith(path.read_bytes())


_NUMBERS = st.integers(0, 255)


@settings(deadline=None)
@given(st.dictionaries(st.text("abc.", min_size=1), st.one_of(st.text(), st.lists(_NUMBERS), st.lists(st.text()))))
def test_keys_go_there_and_back(values: dict[str, Any]) -> None:
    metadata = []
    for key, value in values.items():
        if isinstance(value, str):
            metadata.append(Meta(key, value, T.STRING))
        else:
            is_text = bool(value) and isinstance(value[0], str)
            metadata.append(Meta(key, value, T.ARRAY, T.STRING if is_text else T.UINT8))
    back = decode_metadata(encode_header(metadata, []))
    assert [(meta.key, meta.type, meta.item_type) for meta in back] == [
        (meta.key, meta.type, meta.item_type) for meta in metadata
    ]
    assert all(list(after.value) == list(before.value) for after, before in zip(back, metadata, strict=True))


@pytest.mark.parametrize(
    ("value", "kind", "item"),
    [
        (-1, T.UINT32, None),
        (2**32, T.UINT32, None),
        (1e40, T.FLOAT32, None),
        ("x", T.INT32, None),
        ("\ud800", T.STRING, None),
        ([1, 2**40], T.ARRAY, T.INT32),
        ([1, None], T.ARRAY, T.INT32),
        (["a", "\ud800"], T.ARRAY, T.STRING),
    ],
)
def test_values_that_do_not_fit_are_named(value: Any, kind: GGUFValueType, item: GGUFValueType | None) -> None:
    with pytest.raises(QuantizeError, match=r"a\.key = .* cannot be a GGUF"):
        encode_header([Meta("a.key", value, kind, item)], [])


def test_sizes_do_not_overflow() -> None:
    assert tensor_bytes((2**40, 2**20, 256), "F32") == 2**70
