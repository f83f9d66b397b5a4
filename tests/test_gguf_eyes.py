"""A projector of pictures is taken only if libmtmd can load it and encode with it: each of these damages would end the
process, or is refused by it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai import ModelFormatError, Session
from edgeai.gguf_header import GGUFHeader
from edgeai.gguf_projector import KINDS, input_width, read_projector, sound
from tests.tiny import N_EMBD, tiny_model
from tests.tiny_eyes import EDGE, N_TOKENS, Kind, tiny_eyes
from tests.tiny_eyes import KINDS as EYES

Parts = dict[str, Any]
Damage = Callable[[Parts, Parts], object]


@pytest.mark.parametrize("kind", EYES)
def test_those_that_converters_write_are_taken(kind: Kind, tmp_path: Path) -> None:
    path = tiny_eyes(tmp_path / "mmproj.gguf", kind)
    found = read_projector(path, N_EMBD)
    assert (found.path, found.kind, found.sees, found.hears) == (path, kind, True, kind == "qwen2.5o")
    assert 0 < path.stat().st_size - found.weights_bytes < 8000
    assert found.n_picture_tokens == N_TOKENS.get(kind, 4096)
    assert found.is_causal == (kind != "gemma3")
    assert found.max_ratio == {"gemma3": 16_384, "idefics3": EDGE - 1}.get(kind, 200)
    assert found.image_max_tokens == (4096 if "qwen" in kind else 0)
    assert found.buffer_bytes > 3 * 16 * 2**20


def test_all_kinds_are_tried() -> None:
    assert set(KINDS) == {*sound.KINDS, *EYES}


def test_fewer_tokens_take_less_memory(tmp_path: Path) -> None:
    path = tiny_eyes(tmp_path / "mmproj.gguf", "qwen2.5vl_merger")
    most, few = read_projector(path, N_EMBD), read_projector(path, N_EMBD, max_picture_tokens=1024)
    assert (few.n_picture_tokens, few.image_max_tokens) == (1024, 1024)
    assert most.buffer_bytes - few.buffer_bytes > 10 * (16384**2 - 4096**2)
    assert [read_projector(path, N_EMBD, "", n).image_max_tokens for n in (1, 64, 10_000)] == [64, 64, 4096]


def _key(name: str, value: Any) -> Damage:
    return lambda _tensors, keys: keys.update({name: value})


def _vision(name: str, value: Any) -> Damage:
    return _key(f"clip.vision.{name}", value)


def _tensor(name: str, change: Callable[[Any], Any]) -> Damage:
    return lambda tensors, _keys: tensors.update({name: change(tensors[name])})


def _add(name: str, *shape: int) -> Damage:
    return lambda tensors, _keys: tensors.update({name: np.zeros(shape, np.float32)})


def _without(name: str) -> Damage:
    return lambda tensors, keys: (tensors if name in tensors else keys).pop(name)


def _less(values: Any) -> Any:
    return values[:-1]


def _square(tensors: Parts, _keys: Parts) -> None:
    for layer in range(2):
        for name in ("ffn_up", "ffn_down"):
            tensors[f"v.blk.{layer}.{name}.weight"] = np.zeros((32, 32), np.float32)
            tensors[f"v.blk.{layer}.{name}.bias"] = np.zeros(32, np.float32)


def _large(image_size: int, patch_size: int) -> Damage:
    sizes = {"image_size": image_size, "patch_size": patch_size, "projector.scale_factor": 1}
    return lambda _tensors, keys: keys.update({f"clip.vision.{name}": size for name, size in sizes.items()})


DAMAGES: dict[str, tuple[Kind, Damage]] = {
    "no tensor v.blk.1.ffn_down.weight": ("gemma3", _without("v.blk.1.ffn_down.weight")),
    "no tensor v.patch_embd.bias": ("idefics3", _without("v.patch_embd.bias")),
    "no tensor v.patch_embd.weight.1": ("qwen2vl_merger", _without("v.patch_embd.weight.1")),
    "no tensor v.blk.0.attn_q.bias": ("qwen2.5vl_merger", _without("v.blk.0.attn_q.bias")),
    "no tensor v.deepstack.0.fc2.bias": ("qwen3vl_merger", _without("v.deepstack.0.fc2.bias")),
    "no tensor resampler.ln_kv.bias": ("resampler", _without("resampler.ln_kv.bias")),
    "no tensor a.post_ln.bias": ("qwen2.5o", _without("a.post_ln.bias")),
    "v.position_embd.weight of shape [32, 15]": ("gemma3", _tensor("v.position_embd.weight", _less)),
    "v.position_embd.weight of shape [32, 4899]": ("resampler", _tensor("v.position_embd.weight", _less)),
    "v.position_embd.weight with 15 positions": ("lfm2", _tensor("v.position_embd.weight", _less)),
    "v.position_embd.weight of the type F16": (
        "qwen3vl_merger",
        _tensor("v.position_embd.weight", lambda values: values.astype(np.float16)),
    ),
    "mm.input_projection.weight of shape [128, 31]": ("gemma3", _tensor("mm.input_projection.weight", _less)),
    "mm.model.fc.weight of shape [128, 127]": ("idefics3", _tensor("mm.model.fc.weight", _less)),
    "resampler.query of shape [128, 5]": ("resampler", _tensor("resampler.query", _less)),
    "resampler.proj.weight of shape [128, 127]": ("resampler", _tensor("resampler.proj.weight", _less)),
    "v.deepstack.0.fc2.weight of shape [128, 63]": ("qwen3vl_merger", _tensor("v.deepstack.0.fc2.weight", _less)),
    "mm.2.weight of shape [128, 127]": ("qwen2.5vl_merger", _tensor("mm.2.weight", _less)),
    "v.blk.0.ffn_up.weight of shape [32, 32], expected another inner width": ("idefics3", _square),
    "the tensor v.class_embd": ("qwen2vl_merger", _add("v.class_embd", 32)),
    "the tensor v.pre_ln.weight": ("gemma3", _add("v.pre_ln.weight", 32)),
    "the tensor v.blk.0.attn_qkv.weight": ("lfm2", _add("v.blk.0.attn_qkv.weight", 96, 32)),
    "the tensor mm.input_norm.bias": ("idefics3", _add("mm.input_norm.bias", 128)),
    "projector.scale_factor = 3, expected a divisor of 4": ("gemma3", _vision("projector.scale_factor", 3)),
    "projector.scale_factor = 1, expected": ("idefics3", _vision("projector.scale_factor", 1)),
    "projector.scale_factor = 0, expected": ("lfm2", _vision("projector.scale_factor", 0)),
    "spatial_merge_size = 1, expected": ("qwen3vl_merger", _vision("spatial_merge_size", 1)),
    "spatial_merge_size = 4, expected": ("qwen2vl_merger", _vision("spatial_merge_size", 4)),
    "the key clip.vision.n_wa_pattern": ("qwen2vl_merger", _vision("n_wa_pattern", 2)),
    "the key clip.vision.image_max_pixels": ("qwen3vl_merger", _vision("image_max_pixels", 1)),
    "the key clip.vision.feature_layer": ("gemma3", _vision("feature_layer", [1])),
    "the key clip.vision.attention.head_dim": ("idefics3", _vision("attention.head_dim", 16)),
    "n_wa_pattern = 1, expected 0, or at least 2": ("qwen2.5o", _vision("n_wa_pattern", 1)),
    "n_wa_pattern = None": ("qwen2.5vl_merger", _without("clip.vision.n_wa_pattern")),
    "patch_size = 0": ("gemma3", _vision("patch_size", 0)),
    "patch_size = 64": ("qwen2.5vl_merger", _vision("patch_size", 64)),
    "image_size = 7, expected": ("idefics3", _vision("image_size", 7)),
    "image_size = 8192": ("gemma3", _vision("image_size", 8192)),
    "image_size = 648 of patches of 8, expected 80 on a side": ("idefics3", _large(648, 8)),
    "scale_factor = 1 and 6,400 tokens": ("gemma3", _large(640, 8)),
    "scale_factor = 8, expected a number from 2 to 4": ("lfm2", _vision("projector.scale_factor", 8)),
    "patch_size and scale_factor = 4 and 2": ("lfm2", _vision("patch_size", 4)),
    "preproc_image_size = 4096": ("idefics3", _vision("preproc_image_size", 4096)),
    "and no preproc_image_size": ("idefics3", _without("clip.vision.preproc_image_size")),
    "head_count = 3": ("lfm2", _vision("attention.head_count", 3)),
    "heads of a multiple of 4": ("qwen2vl_merger", _vision("attention.head_count", 16)),
    "block_count = 65": ("gemma3", _vision("block_count", 65)),
    "layer_norm_epsilon = nan": ("resampler", _vision("attention.layer_norm_epsilon", float("nan"))),
    "image_mean = (0.5, 0.5)": ("gemma3", _vision("image_mean", [0.5, 0.5])),
    "image_std = (0.5, 0.5, 0.0)": ("gemma3", _vision("image_std", [0.5, 0.5, 0.0])),
    "image_std of the type string": ("gemma3", _vision("image_std", "0.5")),
    "minicpmv_version = 1,": ("resampler", _key("clip.minicpmv_version", np.int32(1))),
    "minicpmv_version of the type u32": ("resampler", _key("clip.minicpmv_version", 3)),
    "minicpmv_query_num = 1025": ("resampler", _key("clip.minicpmv_query_num", 1025)),
    "projection_dim = 64, expected the text model's 128": ("qwen2.5vl_merger", _vision("projection_dim", 64)),
    "projector.stack_factor, expected none": ("qwen2.5o", _key("clip.audio.projector.stack_factor", 2)),
}
DAMAGES["v.deepstack.2, expected none beyond"] = (
    "qwen3vl_merger",
    lambda tensors, _keys: [
        tensors.update({name.replace(".0.", ".2."): tensors.pop(name)}) for name in list(tensors) if "deepstack" in name
    ],
)


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_ones_are_refused_in_one_line(what: str, tmp_path: Path) -> None:
    kind, damage = DAMAGES[what]
    path = tiny_eyes(tmp_path / "mmproj.gguf", kind, change=damage)  # type: ignore[arg-type]
    with pytest.raises(ModelFormatError) as caught:
        read_projector(path, N_EMBD)
    assert what in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", EYES)
def test_one_of_another_text_model_is_refused(kind: Kind, tmp_path: Path) -> None:
    path = tiny_eyes(tmp_path / "mmproj.gguf", kind)
    with pytest.raises(ModelFormatError, match="expected"):
        read_projector(path, 256)


@pytest.mark.parametrize("kind", EYES)
def test_text_models_count_tokens_as_the_projector_does(kind: Kind, tmp_path: Path) -> None:
    path = tiny_eyes(tmp_path / "mmproj.gguf", kind)
    places = {"gemma3": (), "idefics3": (), "lfm2": (), "resampler": ()}.get(kind, ("qwen2vl", "qwen3vl", "qwen35"))
    rows = () if kind in ("qwen2.5vl_merger", "qwen3vl_merger", "qwen2.5o") else ("llama", "gemma3", "lfm2", "qwen3")
    assert all(read_projector(path, N_EMBD, architecture).sees for architecture in (*places, *rows))
    for other in {"qwen2vl", "llama"} - {*places, *rows}:
        with pytest.raises(ModelFormatError, match="not made for text models of the architecture"):
            read_projector(path, N_EMBD, other)


@pytest.mark.parametrize(("architecture", "width"), [("qwen3vl", 512), ("qwen3vlmoe", 512), ("qwen2vl", 128)])
def test_what_deepstack_takes_in_counts_as_width(architecture: str, width: int) -> None:
    metadata = {"general.architecture": architecture, f"{architecture}.embedding_length": 128}
    assert input_width(GGUFHeader(Path("a.gguf"), 3, metadata, (), 0)) == 128
    metadata[f"{architecture}.n_deepstack_layers"] = 3
    assert input_width(GGUFHeader(Path("a.gguf"), 3, metadata, (), 0)) == width


@pytest.mark.parametrize("kind", ["gemma3", "idefics3", "qwen2vl_merger", "qwen2.5vl_merger", "resampler"])
def test_names_of_older_converters_are_taken(kind: Kind, tmp_path: Path) -> None:
    path = tiny_eyes(tmp_path / "mmproj.gguf", kind, change=swapped)
    assert read_projector(path, N_EMBD).sees


def swapped(tensors: Parts, _keys: Parts) -> None:
    """Each block's two matrices under each other's name."""
    for name in [name for name in tensors if "ffn_up" in name]:
        other = name.replace("ffn_up", "ffn_down")
        tensors[name], tensors[other] = tensors[other], tensors[name]


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_session_opens_with_one_that_belongs_to_its_model(isolation: str, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "a.gguf", "gemma3")
    with Session(
        model, n_threads=1, isolation=isolation, mmproj_path=tiny_eyes(tmp_path / "eyes.gguf", "gemma3")
    ) as it:
        assert it.info.sees
    with pytest.raises(ModelFormatError, match="not made for text models"):
        Session(model, n_threads=1, isolation=isolation, mmproj_path=tiny_eyes(tmp_path / "omni.gguf", "qwen2.5o"))
