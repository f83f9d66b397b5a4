"""One pass writes what the official two steps write: every key, every tensor's type, place and bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType

from edgeai.errors import QuantizeError
from quantize import Options, Progress, quantize
from quantize.ftypes import FTYPES, check_ftype, ftype_of_bits
from quantize.imatrix import Entry, Imatrix, write_imatrix
from quantize.pipeline import open_model, plan_model
from tests.quantize.oracles import has_importance, importance, oracle, recorded, sha256
from tests.quantize.tiny_checkpoints import CASES, case_checkpoint

LARGE = "plamo"  # the real layer's size: 140 MB
LARGE_FTYPES = ("Q8_0", "Q4_K_M")
SUFFIX = "+imatrix"
USUAL = ("F16", "Q8_0", "Q4_K_M", "Q4_0", "IQ4_NL+imatrix")
OWN_KEYS = {"plamo2": "plamo2.attention.head_count", "plamo2-f16": "plamo2.attention.head_count"} | {
    "llama-yarn": "tokenizer.ggml.scores"
}
"""In which we differ on purpose: PLaMo 2 never answers with the official one; a SentencePiece vocabulary without its
.model file has the same score for all tokens there."""


def wanted() -> list[tuple[str, str]]:
    """The llama family in every ftype of the oracle, the others in the usual ones."""
    pairs = []
    for case, what in CASES.items():
        all_ftypes = list(oracle(case)["quantized"])
        few = LARGE_FTYPES if what["kind"] == LARGE else USUAL
        pairs += [(case, ftype) for ftype in all_ftypes if case == "llama" or ftype in few]
    return pairs


def imatrix_file(path: Path, model_tensors: list[Any]) -> Path:
    """The oracle's importance matrix."""
    entries = {
        tensor.name: Entry(importance(tensor.name, tensor.shape[-1]), np.ones(1, np.int64))
        for tensor in model_tensors
        if len(tensor.shape) > 1 and has_importance(tensor.name)
    }
    write_imatrix(Imatrix(entries, ("oracle",), 1, 512), path)
    return path


def keys_of(reader: GGUFReader) -> dict[str, Any]:
    keys = {}
    for name, field in reader.fields.items():
        if not name.startswith("GGUF."):
            item_type = field.types[-1].name if field.types[0] is GGUFValueType.ARRAY else None
            keys[name] = recorded(field.types[0].name, field.contents(), item_type)
    return keys


@pytest.mark.parametrize(("case", "ftype"), wanted())
def test_the_artifact_is_the_official_one(case: str, ftype: str, tmp_path: Path) -> None:
    expected = oracle(case)
    folder = case_checkpoint(tmp_path, case)
    name = ftype.removesuffix(SUFFIX)
    imatrix = imatrix_file(tmp_path / "i.gguf", open_model(folder).tensors) if ftype.endswith(SUFFIX) else None
    artifact = quantize(folder, tmp_path / "out.gguf", Options(ftype=name, imatrix=imatrix, n_threads=2))
    reader = GGUFReader(artifact.path)
    tensors, official = list(reader.tensors), expected["quantized"][ftype]
    in_order = list(expected["tensors"])
    assert [tensor.name for tensor in tensors] == [in_order[place] for place in official["order"]]
    for tensor in tensors:
        recorded_tensor = expected["tensors"][tensor.name]
        qtype = recorded_tensor["types"].get(ftype, "F32")
        assert tensor.tensor_type.name == qtype, tensor.name
        digests = recorded_tensor["sha256"]
        assert sha256(np.ascontiguousarray(tensor.data)) in (digests.get(qtype), digests.get(qtype + SUFFIX)), (
            tensor.name
        )
    keys = keys_of(reader)
    for key, value in {**expected["metadata"], **official["metadata"]}.items():
        if key != OWN_KEYS.get(case):
            assert keys[key] == value, key
    extra = {key for key in keys if key not in expected["metadata"] and not key.startswith("quantize.imatrix.")}
    assert extra <= {"general.quantization_version", "general.file_type"}


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    told: list[Progress] = []
    folder = case_checkpoint(tmp_path, "llama")
    artifact = quantize(folder, tmp_path / "out.gguf", Options(ftype="Q8_0"), told.append)
    assert [step.n_done_bytes for step in told] == sorted({step.n_done_bytes for step in told})
    assert told[-1].n_done_bytes == told[-1].n_total_bytes
    assert 8 < artifact.bits_per_weight < 10
    assert artifact.size_bytes == artifact.path.stat().st_size


def test_a_float_gguf_is_a_source_too_and_a_quantized_one_only_when_asked(tmp_path: Path) -> None:
    folder = case_checkpoint(tmp_path, "qwen3")
    direct = quantize(folder, tmp_path / "direct.gguf", Options(ftype="Q4_K_M"))
    f32 = quantize(folder, tmp_path / "f32.gguf", Options(ftype="F32"))
    again = quantize(f32.path, tmp_path / "again.gguf", Options(ftype="Q4_K_M"))
    assert again.path.read_bytes() == direct.path.read_bytes()
    with pytest.raises(QuantizeError, match=r"already.*--allow-requantize"):
        quantize(direct.path, tmp_path / "twice.gguf", Options(ftype="Q8_0"))
    assert quantize(direct.path, tmp_path / "twice.gguf", Options(ftype="Q8_0", allow_requantize=True)).n_params


def test_types_can_be_chosen(tmp_path: Path) -> None:
    model = open_model(case_checkpoint(tmp_path, "llama"))
    options = Options(ftype="Q4_0", output_type="F16", token_embd_type="Q8_0", tensor_types=(("ffn_down", "Q6_K"),))
    types = {item.tensor.name: item.qtype for item in plan_model(model, options)}
    assert types["output.weight"] == "F16"
    assert types["token_embd.weight"] == "Q8_0"
    assert types["blk.0.ffn_down.weight"] in ("Q6_K", "Q8_0")  # where rows are no multiple of 256
    assert types["blk.0.attn_q.weight"] == "Q4_0"


def test_an_artifact_that_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    folder, target = case_checkpoint(tmp_path, "llama"), tmp_path / "out.gguf"
    target.write_text("mine")
    with pytest.raises(QuantizeError, match=r"exists.*--force"):
        quantize(folder, target)
    assert target.read_text() == "mine"
    quantize(folder, target, Options(force=True))
    assert target.read_bytes()[:4] == b"GGUF"


@pytest.mark.skipif(os.name == "nt", reason="a pipe of POSIX")
def test_what_is_no_artifact_is_not_replaced_even_when_asked(tmp_path: Path) -> None:
    folder, pipe = case_checkpoint(tmp_path, "llama"), tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(QuantizeError, match="no regular file"):
        quantize(folder, pipe, Options(force=True))
    assert pipe.is_fifo()
    config = (folder / "config.json").read_bytes()
    with pytest.raises(QuantizeError, match="a part of the checkpoint itself"):
        quantize(folder, folder / "config.json", Options(force=True))
    assert (folder / "config.json").read_bytes() == config


def test_nan_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    folder = case_checkpoint(tmp_path, "llama-f32-tied")
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-4:] = np.float32(np.nan).tobytes()
    weights.write_bytes(data)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(QuantizeError, match=r"holds NaN or infinity.*--allow-nan"):
        quantize(folder, out / "a.gguf")
    assert not list(out.iterdir())


def test_types_that_need_an_importance_matrix_say_so(tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match="importance matrix"):
        quantize(case_checkpoint(tmp_path, "llama"), tmp_path / "out.gguf", Options(ftype="IQ2_XXS"))
    assert not (tmp_path / "out.gguf").exists()


def test_every_ftype_has_a_plan(tmp_path: Path) -> None:
    model = open_model(case_checkpoint(tmp_path, "llama"))
    for ftype in FTYPES:
        try:
            planned = plan_model(model, Options(ftype=ftype))
        except QuantizeError as exc:
            known = ("imatrix", "importance matrix", "no tensor type fallback")  # what llama.cpp itself lacks
            assert any(words in str(exc) for words in known), ftype  # noqa: PT017
            continue
        assert {item.tensor.name for item in planned} == {tensor.name for tensor in model.tensors}


def test_bits_and_names() -> None:
    assert (ftype_of_bits(4), ftype_of_bits(8), check_ftype("q4_k")) == ("Q4_K_M", "Q8_0", "Q4_K_M")
    with pytest.raises(QuantizeError, match="Q3_K_M"):
        ftype_of_bits(3)
    with pytest.raises(QuantizeError, match="expected one of"):
        check_ftype("Q9")
    assert json.dumps(list(FTYPES))
