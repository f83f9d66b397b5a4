"""Headers are read as gguf-py reads them, and what llama.cpp cannot survive is refused."""

from __future__ import annotations

import os
import random
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from llama_cpp import llama_cpp

from edgeai.errors import ModelFormatError, ModelNotFoundError
from edgeai.gguf_header import ArrayInfo, read_header
from edgeai.gguf_types import FILE_TYPES, TENSOR_TYPES
from tests.tiny import KINDS, tiny_model
from tests.tokenizers import SOUND, model_with_tokenizer


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny.gguf", "llama")


def with_changes(path: Path, change: Callable[[GGUFWriter], None], *, drop: tuple[str, ...] = ()) -> Path:
    """A copy of a model with keys left out and others added."""
    reader = GGUFReader(path)
    changed = path.with_name("changed.gguf")
    writer = GGUFWriter(changed, "llama")
    writer.kv_data[0].clear()
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in drop:
            sub_type = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type)
    change(writer)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return changed


# --- what it reads


@pytest.mark.parametrize("kind", KINDS)
def test_reads_what_gguf_py_reads(kind: Any, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", kind)
    header, reference = read_header(path), GGUFReader(path)
    keys = [name for name in reference.fields if not name.startswith("GGUF.")]
    assert list(header.metadata) == keys
    for key in keys:
        expected, value = reference.fields[key].contents(), header.metadata[key]
        if isinstance(value, ArrayInfo):
            assert value.count == len(expected)
        else:
            assert value == (tuple(expected) if isinstance(expected, list) else expected)
    assert [(t.name, t.shape, t.type, t.offset, t.n_bytes) for t in header.tensors] == [
        (t.name, tuple(t.shape), t.tensor_type.name, t.data_offset, t.n_bytes) for t in reference.tensors
    ]
    assert header.n_params == sum(tensor.n_elements for tensor in reference.tensors)


def test_tables_are_ggmls_own() -> None:
    ggml = llama_cpp._lib
    ggml.ggml_type_size.restype, ggml.ggml_blck_size.restype = int, int
    for type_id, kind in TENSOR_TYPES.items():
        assert (ggml.ggml_blck_size(type_id), ggml.ggml_type_size(type_id)) == (kind.block_size, kind.block_bytes)
    known = {type_.value: type_.name for type_ in GGML_QUANT_SIZES}
    assert {id_: kind.name for id_, kind in TENSOR_TYPES.items() if id_ in known} == known


def test_names_of_file_types_are_llama_cpps() -> None:
    prefixes = ("LLAMA_FTYPE_ALL_", "LLAMA_FTYPE_MOSTLY_")
    names = {
        value: name.removeprefix(prefixes[0]).removeprefix(prefixes[1]).removesuffix("_MOE")
        for name, value in vars(llama_cpp).items()
        if name.startswith(prefixes)
    }
    names.pop(llama_cpp.LLAMA_FTYPE_GUESSED, None)
    assert names.items() <= FILE_TYPES.items()


def test_facts(tiny: Path) -> None:
    header = read_header(tiny)
    assert (header.architecture, header.name, header.version) == ("llama", "tiny-llama", 3)
    assert header["block_count"] == header.metadata["llama.block_count"] == 4
    assert header["no_such_key"] is None
    assert header.chat_template is not None
    assert header.n_vocab == 271
    assert header.file_type == "F32"
    assert header.tensor_bytes == sum(tensor.n_bytes for tensor in header.tensors)


@pytest.mark.weights
def test_real_model_is_read_fast(real_model: Path) -> None:
    started = time.process_time()
    header = read_header(real_model)
    assert time.process_time() - started < 0.5  # 0.03 s on an idle machine; benchmarks measure, this catches blunders
    assert (header.architecture, header.file_type, header.n_vocab) == ("llama", "Q4_1", 49152)
    assert header.n_params == 134_515_008
    assert header.tensor_bytes == 96_576_768


# --- what it refuses, by message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"GGUF", "the file ends at byte 4, inside the version"),
        (b"<!DOCTYPE html><title>404</title>", "web page"),
        (b"\n <html>", "web page"),
        (struct.pack("<Q", 100) + b'{"weight":{"dtype":"F32"}}', "safetensors"),
        (b"PK\x03\x04" + bytes(40), "PyTorch checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs pointer"),
        (b'{"error": "not found"}', "JSON"),
        (bytes(1000), "a file of zeros"),
        (b"tjgg" + bytes(40), "older than GGUF"),
        (b"random bytes", "it starts with b'rand'"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(16), "GGUF version 1, expected 2 or 3"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(16), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "claims 9,223,372,036,854,775,808 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), "claims 1,099,511,627,776 keys"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "claims 4,611,686,018,427,387,904 bytes"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 3) + b"a\x00b" + bytes(9), "printable ASCII"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<I", 99), "has the type 99"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 8, 2**60), "claims 1,152,9"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 9, 1), "no arrays"),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQQ", 9, 8, 2, 2**64 - 1),
            "inside the array",
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_says_what_is_wrong(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFormatError) as refused:
        read_header(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no such file"):
        read_header(tmp_path / "missing.gguf")
    with pytest.raises(ModelFormatError, match="a folder"):
        read_header(tmp_path)
    with pytest.raises(ModelFormatError, match="cannot be read"):
        read_header("a\0b")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ModelFormatError, match="not a regular file"):
            read_header(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tiny: Path) -> None:
    tiny.chmod(stat.S_IWUSR)
    with pytest.raises(ModelFormatError, match="cannot be read: Permission denied"):
        read_header(tiny)


@pytest.mark.parametrize(
    ("change", "drop", "message"),
    [
        (lambda w: w.add_uint16("split.count", 4), (), "part 1 of 4 of a split model"),
        (lambda w: w.add_type("adapter"), (), "LoRA adapter"),
        (lambda w: None, ("general.architecture",), "general.architecture = None"),
        (lambda w: None, ("tokenizer.ggml.model",), "no tokenizer"),
        (lambda w: None, ("tokenizer.ggml.tokens",), "tokenizer.ggml.tokens is missing"),
        (lambda w: None, ("llama.block_count",), "llama.block_count = None"),
        (lambda w: w.add_head_count([0, 4, 4, 4]), ("llama.attention.head_count",), "heads in layer 0"),
        (
            lambda w: w.add_head_count(1000),
            ("llama.attention.head_count", "llama.attention.key_length"),
            "at least one column for each head",
        ),
        (lambda w: w.add_head_count_kv(3), ("llama.attention.head_count_kv",), "a divisor of head_count = 4"),
        (lambda w: w.add_head_count_kv([2, 2]), ("llama.attention.head_count_kv",), "a number, or 4 numbers"),
        (lambda w: w.add_key_length(0), ("llama.attention.key_length",), "key_length = 0"),
        (lambda w: w.add_rope_dimension_count(31), (), "an even number, at most the key_length 32"),
        (lambda w: w.add_rope_dimension_count(64), (), "an even number, at most the key_length 32"),
        (lambda w: w.add_rope_dimension_count(16), (), "the value_length 32 and the rope.dimension_count 16"),
        (lambda w: w.add_head_count(8), ("llama.attention.head_count",), "attn_q.weight has 128 rows, expected 256"),
        (lambda w: w.add_string("llama.rope.scaling.type", "magic"), (), "one of none, linear, yarn, longrope"),
        (lambda w: w.add_expert_used_count(2), (), "expert_used_count = 2, expected 0"),
        (lambda w: w.add_float32("llama.attention.layer_norm_epsilon", -1), (), "-1.0, expected a number from 0 to 1"),
        (lambda w: w.add_float32("llama.rope.freq_base", float("nan")), ("llama.rope.freq_base",), "a finite number"),
        (lambda w: w.add_bos_token_id(999), ("tokenizer.ggml.bos_token_id",), "expected 0 to 270"),
        (
            lambda w: w.add_string("tokenizer.ggml.bos_token_id", "x"),
            ("tokenizer.ggml.bos_token_id",),
            "= x, expected 0",
        ),
        (lambda w: w.add_token_list(["a"] * 271), ("tokenizer.ggml.tokens",), "b'a' stands twice"),
        (lambda w: w.add_token_list(["a"]), ("tokenizer.ggml.tokens",), "the vocabulary has 1 tokens"),
        (lambda w: w.add_custom_alignment(8), (), "general.alignment = 8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_do_not_go_together(
    change: Callable[[GGUFWriter], None], drop: tuple[str, ...], message: str, tiny: Path
) -> None:
    with pytest.raises(ModelFormatError) as refused:
        read_header(with_changes(tiny, change, drop=drop))
    assert message in str(refused.value)


def test_projector_needs_no_vocabulary(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "mmproj.gguf", "clip")
    writer.add_tensor("v.patch_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert read_header(tmp_path / "mmproj.gguf").architecture == "clip"


@pytest.mark.parametrize("tokenizer", ["llama", "plamo2"])
def test_byte_tokens_must_be_there(tokenizer: str, tmp_path: Path) -> None:
    read_header(model_with_tokenizer(tmp_path / "sound.gguf", tokenizer))
    tokens = [token for token in SOUND if token != b"<0xF0>"]
    with pytest.raises(ModelFormatError, match="no token <0xF0>"):
        read_header(model_with_tokenizer(tmp_path / "gap.gguf", tokenizer, tokens))


def test_plamo_vocabulary_must_be_utf8(tmp_path: Path) -> None:
    tokens = [*SOUND, b"\xffa"]
    read_header(model_with_tokenizer(tmp_path / "llama.gguf", "llama", tokens))
    with pytest.raises(ModelFormatError, match="is not UTF-8"):
        read_header(model_with_tokenizer(tmp_path / "plamo2.gguf", "plamo2", tokens))


def test_empty_tokens_and_nul_bytes_count_as_llama_cpp_counts_them(tmp_path: Path) -> None:
    read_header(model_with_tokenizer(tmp_path / "two.gguf", "llama", [*SOUND, b"", b"\0"]))
    with pytest.raises(ModelFormatError, match="stands twice"):
        read_header(model_with_tokenizer(tmp_path / "same.gguf", "llama", [*SOUND, b"x", b"x\0y"]))


def test_tokens_to_be_added_must_exist(tmp_path: Path) -> None:
    read_header(model_with_tokenizer(tmp_path / "default.gguf", "llama", add_bos_token=True, add_eos_token=True))
    with pytest.raises(ModelFormatError, match="is to add a seperator token"):
        read_header(model_with_tokenizer(tmp_path / "sep.gguf", "llama", add_sep_token=True))


def test_every_cut_is_refused(tiny: Path, tmp_path: Path) -> None:
    data, rng = tiny.read_bytes(), random.Random(5)
    header_end = read_header(tiny).tensors[0].offset
    for size in [*(rng.randrange(1, header_end) for _ in range(200)), header_end, len(data) - 32 * 1024]:
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(data[:size])
        with pytest.raises(ModelFormatError, match="download it again"):
            read_header(cut)
