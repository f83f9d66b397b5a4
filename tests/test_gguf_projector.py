"""A projector's file is taken only if libmtmd can load it: each of these would end the process, or is refused by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai import ModelFormatError, ModelNotFoundError, Session, UnsupportedModalityError
from edgeai.catalog import ResolvedModel
from edgeai.engine.examine import examine, policy
from edgeai.gguf_projector import read_projector
from edgeai.options import LoadOptions
from tests.tiny import N_EMBD, tiny_model
from tests.tiny_projector import Kind, tiny_projector

Parts = dict[str, Any]
Damage = Callable[[Parts, Parts], object]


@pytest.mark.parametrize("kind", ["ultravox", "voxtral", "qwen2a"])
def test_those_that_converters_write_are_taken(kind: Kind, tmp_path: Path) -> None:
    path = tiny_projector(tmp_path / "mmproj.gguf", kind)
    found = read_projector(path, N_EMBD)
    assert (found.path, found.kind, found.hears, found.sees) == (path, kind, True, False)
    assert 0 < path.stat().st_size - found.weights_bytes < 8000
    assert found.buffer_bytes > 4 * 1500 * 64


def _key(name: str, value: Any) -> Damage:
    return lambda _tensors, keys: keys.update({name: value})


def _tensor(name: str, change: Callable[[Any], Any]) -> Damage:
    return lambda tensors, _keys: tensors.update({name: change(tensors[name])})


DAMAGES: dict[str, Damage] = {
    "no tensor a.blk.1.ffn_up.weight": lambda tensors, _keys: tensors.pop("a.blk.1.ffn_up.weight"),
    "no tensor a.conv1d.2.bias": lambda tensors, _keys: tensors.pop("a.conv1d.2.bias"),
    "no tensor a.position_embd.weight": lambda tensors, _keys: tensors.pop("a.position_embd.weight"),
    "mm.a.mlp.1.weight missing": lambda tensors, _keys: tensors.pop("mm.a.mlp.1.weight"),
    "a.position_embd.weight of shape [64, 1499]": _tensor("a.position_embd.weight", lambda values: values[:-1]),
    "a.blk.0.attn_q.weight of shape [64, 63]": _tensor("a.blk.0.attn_q.weight", lambda values: values[:-1]),
    "a.blk.0.ln1.weight of shape [63]": _tensor("a.blk.0.ln1.weight", lambda values: values[:-1]),
    "mm.a.mlp.2.weight of shape [48, 127]": _tensor("mm.a.mlp.2.weight", lambda values: values[:-1]),
    "mm.a.mlp.1.weight missing or of an odd": _tensor("mm.a.mlp.1.weight", lambda values: values[:-1]),
    "a.conv1d.1.weight of the type F32": _tensor("a.conv1d.1.weight", lambda values: values.astype(np.float32)),
    "a.blk.0.ln1.bias of the type F16": _tensor("a.blk.0.ln1.bias", lambda values: values.astype(np.float16)),
    "a.blk.0.attn_v.weight of the type F64": _tensor("a.blk.0.attn_v.weight", lambda values: values.astype(np.float64)),
    "the tensor a.blk.0.attn_k.bias": lambda tensors, _keys: tensors.update(
        {"a.blk.0.attn_k.bias": tensors["a.blk.0.attn_q.bias"]}
    ),
    "the tensor v.class_embd": lambda tensors, _keys: tensors.update({"v.class_embd": tensors["a.post_ln.bias"]}),
    "embedding_length = None": lambda _tensors, keys: keys.pop("clip.audio.embedding_length"),
    "embedding_length = 0": _key("clip.audio.embedding_length", 0),
    "block_count = 4294967295": _key("clip.audio.block_count", 2**32 - 1),
    "num_mel_bins = 257": _key("clip.audio.num_mel_bins", 257),
    "head_count = 3": _key("clip.audio.attention.head_count", 3),
    "stack_factor = 8": _key("clip.audio.projector.stack_factor", 8),
    "stack_factor = 0": _key("clip.audio.projector.stack_factor", 0),
    "layer_norm_epsilon = nan": _key("clip.audio.attention.layer_norm_epsilon", float("nan")),
    "block_count of the type f32": _key("clip.audio.block_count", 2.0),
    "projection_dim of the type string": _key("clip.audio.projection_dim", "128"),
    "general.description of the type bool": _key("general.description", True),
    "use_gelu of the type u32": _key("clip.use_gelu", 1),
    "the key clip.audio.attention.head_count_kv": _key("clip.audio.attention.head_count_kv", 0),
    "the key clip.audio.feature_layer": _key("clip.audio.feature_layer", 1),
    "projection_dim = 64, expected the text model's 128": _key("clip.audio.projection_dim", 64),
}
OTHERS: dict[str, Damage] = {
    "of kind 'ultravox' that hears and sees": _key("clip.has_vision_encoder", True),
    "of kind 'gemma3' that hears": _key("clip.projector_type", "gemma3"),
    "of kind 'qwen2.5o' that hears": _key("clip.projector_type", "qwen2.5o"),
    "of kind None that hears": lambda _tensors, keys: keys.pop("clip.projector_type"),
    "of kind 'ultravox' that does nothing": lambda _tensors, keys: keys.pop("clip.has_audio_encoder"),
    "of kind 'ultravox' that hears, expected": _key("clip.has_gen_audio_encoder", True),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_ones_are_refused_in_one_line(what: str, tmp_path: Path) -> None:
    path = tiny_projector(tmp_path / "mmproj.gguf", change=DAMAGES[what])  # type: ignore[arg-type]
    with pytest.raises(ModelFormatError) as caught:
        read_projector(path, N_EMBD)
    assert what in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", OTHERS)
def test_other_kinds_are_told_apart(what: str, tmp_path: Path) -> None:
    path = tiny_projector(tmp_path / "mmproj.gguf", change=OTHERS[what])  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModalityError, match=what):
        read_projector(path, N_EMBD)


def test_what_is_no_projector_at_all(tmp_path: Path) -> None:
    path = tiny_projector(tmp_path / "mmproj.gguf")
    with pytest.raises(ModelFormatError, match="expected a projector"):
        read_projector(tiny_model(tmp_path / "model.gguf"), N_EMBD)
    with pytest.raises(ModelNotFoundError):
        read_projector(tmp_path / "gone.gguf", N_EMBD)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFormatError, match="but the file at"):
        read_projector(path, N_EMBD)


def test_the_one_beside_the_model_is_taken_where_it_fits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, beside = tiny_model(tmp_path / "a.gguf"), tmp_path / "mmproj-a.gguf"
    (tmp_path / "ears").mkdir()
    elsewhere = tiny_projector(tmp_path / "ears" / "other.gguf")
    for isolation in ("none", "process"):
        beside.unlink(missing_ok=True)
        _assert_hears(model, isolation, False)
        _assert_hears(model, isolation, True, mmproj_path=elsewhere)
        tiny_projector(beside)
        _assert_hears(model, isolation, True)
        _assert_hears(model, isolation, False, mmproj_path="")
    shutil.copy(beside, tmp_path / "mmproj-b.gguf")
    _assert_hears(model, "none", False)
    (tmp_path / "mmproj-b.gguf").unlink()
    tiny_projector(beside, n_out=64)
    assert not caplog.records
    _assert_hears(model, "none", False)
    assert "opened without its projector" in caplog.text


def test_it_takes_part_in_the_estimate_and_in_the_sandbox(tmp_path: Path) -> None:
    model, projector = tiny_model(tmp_path / "a.gguf"), tiny_projector(tmp_path / "ears.gguf")
    found = ResolvedModel("a", model)
    bare = examine(found, LoadOptions(n_threads=1))
    hearing = examine(found, LoadOptions(n_threads=1, mmproj_path=str(projector)))
    needs = read_projector(projector, N_EMBD)
    assert hearing.shape.weights_bytes - bare.shape.weights_bytes == needs.weights_bytes + needs.buffer_bytes
    assert policy(bare, None).readable == (str(model),)
    assert policy(hearing, None).readable == (str(model), str(projector))
    more = (policy(hearing, None).memory_bytes or 0) - (policy(bare, None).memory_bytes or 0)
    assert more > 2 * (needs.weights_bytes + needs.buffer_bytes)


def _assert_hears(model: Path, isolation: str, hears: bool, **options: Any) -> None:
    with Session(model, n_threads=1, isolation=isolation, **options) as session:
        assert session.info.hears is hears


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_one_that_was_asked_for_and_is_damaged_is_an_error(isolation: str, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "a.gguf")
    broken = tiny_projector(tmp_path / "broken.gguf", change=_key("clip.audio.block_count", 3))  # type: ignore[arg-type]
    with pytest.raises(ModelFormatError, match=r"no tensor a\.blk\.2"):
        Session(model, mmproj_path=broken, isolation=isolation)
    with Session(model, n_threads=1, isolation=isolation) as session:
        assert session.chat("Hello", max_tokens=3).text


def test_what_passes_the_checks_and_fails_in_native_code_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(tmp_path / "a.gguf")
    broken = tiny_projector(tmp_path / "broken.gguf", change=DAMAGES["no tensor a.blk.1.ffn_up.weight"])  # type: ignore[arg-type]
    monkeypatch.setattr("edgeai.gguf_projector.checks.Checks.all_tensors", lambda *_: None)
    for isolation in ("none", "process"):
        with pytest.raises(ModelFormatError, match="unable to find tensor") as caught:
            Session(model, n_threads=1, mmproj_path=broken, isolation=isolation)
        assert "\n" not in str(caught.value)
    with Session(model, n_threads=1) as session:
        assert session.chat("Hello", max_tokens=3).text
