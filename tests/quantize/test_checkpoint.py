"""A folder is read from all its shards, and one that is incomplete, hostile or of another kind is refused in a line."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from edgeai.errors import CheckpointError
from quantize import base
from quantize.base import F32
from quantize.checkpoint import INDEX, Checkpoint, first_nonfinite, text_config

VALUES: dict[str, F32] = {
    "model.embed_tokens.weight": np.arange(12, dtype=np.float32).reshape(4, 3),
    "model.layers.0.mlp.up_proj.weight": np.full((2, 3), 0.5, np.float32),
    "model.norm.weight": np.ones(3, np.float32),
}
SHARDS = {
    "model.embed_tokens.weight": "model-00001-of-00002.safetensors",
    "model.layers.0.mlp.up_proj.weight": "model-00001-of-00002.safetensors",
    "model.norm.weight": "model-00002-of-00002.safetensors",
}
CONFIG = {"architectures": ["LlamaForCausalLM"], "hidden_size": 3}


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A folder with one file of weights."""
    folder = tmp_path / "single"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(VALUES, folder / "model.safetensors")
    return folder


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A folder with two shards and their index."""
    folder = tmp_path / "sharded"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_index(folder, SHARDS)
    for shard in set(SHARDS.values()):
        save_file({name: VALUES[name] for name in SHARDS if SHARDS[name] == shard}, folder / shard)
    return folder


def write_index(folder: Path, shards: Any) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 84}, "weight_map": shards}))


def refused(folder: Path) -> str:
    """The one line with which a folder is refused."""
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(folder)
    message = str(caught.value)
    assert folder.name in message
    assert "\n" not in message
    return message


def as_in_the_cache(folder: Path, cache: Path) -> Path:
    """The folder as huggingface_hub keeps it: a snapshot of links into the blobs."""
    snapshot = cache / "models--org--name" / "snapshots" / ("0" * 40)
    blobs = cache / "models--org--name" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in folder.iterdir():
        shutil.copy(path, blobs / f"blob of {path.name}")
        (snapshot / path.name).symlink_to(Path("../../blobs") / f"blob of {path.name}")
    return snapshot


# --- what is sound


def test_single_and_sharded_hold_the_same(single: Path, sharded: Path, tmp_path: Path) -> None:
    for folder in (single, sharded, as_in_the_cache(single, tmp_path / "a"), as_in_the_cache(sharded, tmp_path / "b")):
        checkpoint: base.Checkpoint = Checkpoint.open(str(folder))
        assert checkpoint.path == folder
        assert checkpoint.config == CONFIG
        assert list(checkpoint.tensors) == list(VALUES)
        for name, tensor in checkpoint.tensors.items():
            assert (tensor.name, tensor.dtype, tensor.shape) == (name, "F32", VALUES[name].shape)
            np.testing.assert_array_equal(tensor.read(), VALUES[name], strict=True)


def test_a_single_file_is_preferred_to_an_index(single: Path) -> None:
    """As transformers does."""
    write_index(single, {"other": "model-00001-of-00001.safetensors"})
    assert list(Checkpoint.open(single).tensors) == list(VALUES)


def test_files_and_json(single: Path) -> None:
    (single / "tokenizer_config.json").write_text('{"bos_token": "<s>", "limits": [0.0, Infinity]}')
    (single / "templates").mkdir()
    (single / "templates" / "tool.jinja").write_text("x")
    checkpoint = Checkpoint.open(single)
    assert checkpoint.file("tokenizer.model") is None
    assert checkpoint.json("tokenizer.json") is None
    assert checkpoint.file("config.json") == single / "config.json"
    assert checkpoint.file("templates/tool.jinja") == single / "templates" / "tool.jinja"
    assert checkpoint.json("tokenizer_config.json") == {"bos_token": "<s>", "limits": [0.0, float("inf")]}


def test_generation_config(single: Path) -> None:
    assert Checkpoint.open(single).generation_config == {}
    (single / "generation_config.json").write_text('{"temperature": 0.2}')
    assert Checkpoint.open(single).generation_config == {"temperature": 0.2}


def test_a_relative_path_and_a_link_keep_the_name(single: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (single.parent / "My-Model").symlink_to(single)
    monkeypatch.chdir(single.parent)
    assert Checkpoint.open("My-Model").path == single.parent / "My-Model"
    monkeypatch.chdir(single)
    assert Checkpoint.open(".").path.name == "single"


def test_code_is_noted_and_not_run(single: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not Checkpoint.open(single).has_code
    code = single / "modeling_own.py"
    code.write_text(f"open({str(single / 'was run')!r}, 'w')")
    (single / "config.json").write_text(json.dumps({**CONFIG, "auto_map": {"AutoModel": "modeling_own.Model"}}))
    with caplog.at_level(logging.INFO, logger="quantize"):
        assert Checkpoint.open(single).has_code
    assert "not run" in caplog.text
    assert not (single / "was run").exists()


def test_the_text_part_of_a_configuration() -> None:
    config = {"model_type": "gemma3", "hidden_size": 1, "text_config": {"hidden_size": 2, "model_type": "gemma3_text"}}
    assert text_config(config) == {**config, "hidden_size": 2, "model_type": "gemma3_text"}
    assert text_config({"hidden_size": 1}) == {"hidden_size": 1}
    with pytest.raises(CheckpointError, match=r"config.json: text_config is '3', expected an object"):
        text_config({"text_config": 3})


# --- what is missing, or of another kind


def test_no_folder(tmp_path: Path, single: Path) -> None:
    assert "no such folder" in refused(tmp_path / "none")
    assert "not a folder" in refused(single / "config.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there, expected that of a Hugging Face model"),
        (b"", "is not JSON"),
        (b"[1]", "is '[1]', expected an object"),
        (b"{", "is not JSON"),
        (b"\xff{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' + b"1" * 5000 + b"}", "is not JSON"),
        (b"{}" + b" " * 2**24, "longer than 16,777,216 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b'{"quantization_config": {"quant_method": "gptq", "bits": 4}}', "weights are quantized (gptq)"),
        (b'{"quantization_config": "x"}', "weights are quantized (x)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_configurations(content: bytes | None, said: str, single: Path) -> None:
    if content is None:
        (single / "config.json").unlink()
    else:
        (single / "config.json").write_bytes(content)
    assert said in refused(single)


def test_an_adapter(single: Path) -> None:
    (single / "config.json").rename(single / "adapter_config.json")
    assert "LoRA adapter; merge it into its base first" in refused(single)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "model.safetensors': is not there, nor model.safetensors.index.json"),
        (["pytorch_model.bin"], "Python pickles ('pytorch_model.bin'), which run code"),
        (["consolidated.00.pth"], "Python pickles"),
        ([f"pytorch_model-0000{i}-of-00005.bin" for i in range(1, 6)], "-of-00005.bin' and 2 more), which run code"),
        (["consolidated.safetensors"], "but 'consolidated.safetensors'; rename the one"),
        (["model-00001-of-00002.safetensors"], "'model-00001-of-00002.safetensors' are shards; fetch the index too"),
    ],
)
def test_no_weights(names: list[str], said: str, single: Path) -> None:
    (single / "model.safetensors").unlink()
    for name in names:
        (single / name).write_bytes(b"\x80\x02}q\0.")
    assert said in refused(single)


def test_weights_without_tensors(single: Path) -> None:
    save_file({}, single / "model.safetensors", {"format": "pt"})
    refused(single)


# --- shards and their index


def test_missing_shards_are_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    assert "names shards that are not there: 'model-00002-of-00002.safetensors'" in refused(sharded)


def test_a_truncated_shard_is_named(sharded: Path) -> None:
    shard = sharded / "model-00001-of-00002.safetensors"
    os.truncate(shard, shard.stat().st_size - 1)
    message = refused(sharded)
    assert shard.name in message
    assert "bytes of data that the file has" in message


def test_the_index_has_more_than_the_shards(sharded: Path) -> None:
    write_index(sharded, {**SHARDS, "lm_head.weight": "model-00002-of-00002.safetensors"})
    message = refused(sharded)
    assert "model-00002-of-00002.safetensors': lacks what" in message
    assert "'lm_head.weight'" in message


def test_a_shard_has_more_than_the_index(sharded: Path) -> None:
    write_index(sharded, {name: shard for name, shard in SHARDS.items() if "mlp" not in name})
    message = refused(sharded)
    assert "model-00001-of-00002.safetensors': holds what" in message
    assert "'model.layers.0.mlp.up_proj.weight'" in message


def test_a_tensor_in_two_shards(sharded: Path) -> None:
    save_file(VALUES, sharded / "model-00002-of-00002.safetensors")
    assert "model-00002-of-00002.safetensors': holds what" in refused(sharded)


@pytest.mark.parametrize(
    "index",
    [{}, {"weight_map": {}}, {"weight_map": []}, {"weight_map": None}, [], 1],
    ids=str,
)
def test_an_index_without_a_map(index: Any, sharded: Path) -> None:
    (sharded / INDEX).write_text(json.dumps(index))
    assert "expected an object" in (message := refused(sharded)) or "has no weight_map" in message


@pytest.mark.parametrize(
    "shard",
    [
        "../secret.safetensors",
        "/etc/secret.safetensors",
        "sub/secret.safetensors",
        "..\\secret.safetensors",
        "C:secret.safetensors",
        "model.bin",
        "model\0.safetensors",
        "model\n.safetensors",
        "",
        1,
        None,
        ["a.safetensors"],
    ],
    ids=repr,
)
def test_shards_outside_the_folder(shard: Any, sharded: Path) -> None:
    save_file(VALUES, sharded.parent / "secret.safetensors")
    write_index(sharded, {"model.norm.weight": shard})
    assert "expected the name of a .safetensors file" in refused(sharded)


# --- links and other things that are no plain files


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "generation_config.json"])
def test_links_that_lead_elsewhere(name: str, single: Path, tmp_path: Path) -> None:
    (single / name).unlink(missing_ok=True)
    (tmp_path / "secret").write_text(json.dumps(CONFIG))
    (single / name).symlink_to(tmp_path / "secret")
    assert f"{name}': leads to" in refused(single)


def test_a_template_that_leads_elsewhere(single: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    (single / "chat_template.jinja").symlink_to("../key")
    checkpoint = Checkpoint.open(single)
    for name in ("chat_template.jinja", "../key", str(tmp_path / "key")):
        with pytest.raises(CheckpointError, match="expected a file inside the folder"):
            checkpoint.file(name)


def test_blobs_that_lead_elsewhere(single: Path, tmp_path: Path) -> None:
    """An archive may bring the layout of the cache, with its blobs a link."""
    snapshot = as_in_the_cache(single, tmp_path / "archive")
    blobs = snapshot.parents[1] / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    assert "config.json': leads to" in refused(snapshot)


def test_links_inside_the_folder(single: Path) -> None:
    (single / "model.safetensors").rename(single / "weights")
    (single / "model.safetensors").symlink_to("weights")
    assert list(Checkpoint.open(single).tensors) == list(VALUES)


def test_links_that_lead_nowhere(single: Path) -> None:
    (single / "model.safetensors").unlink()
    (single / "model.safetensors").symlink_to("nothing")
    assert "a link to a file that is not there" in refused(single)
    (single / "nothing").symlink_to("model.safetensors")
    assert "cannot be read" in refused(single)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_pipes_and_folders(name: str, single: Path) -> None:
    (single / name).unlink()
    (single / name).mkdir()
    assert "is not a regular file" in refused(single)
    (single / name).rmdir()
    os.mkfifo(single / name)
    assert "is not a regular file" in refused(single)


def test_names_that_are_none(single: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        Checkpoint.open(single).file("a\0b")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Checkpoint.open(single).file("config.json/x")
    with pytest.raises(CheckpointError, match="no such folder"):
        Checkpoint.open("a\0b")


# --- whatever stands in it


@settings(max_examples=300, deadline=None)
@given(
    which=st.sampled_from(["config.json", INDEX]),
    start=st.integers(0, 400),
    n_removed=st.integers(0, 30),
    added=st.one_of(st.binary(max_size=20), st.text('{}[]",:\\01x', max_size=20).map(str.encode)),
)
def test_mutated_files(
    which: str, start: int, n_removed: int, added: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "mutated"
    if not folder.exists():
        folder.mkdir()
        save_file(VALUES, folder / "model-00001-of-00001.safetensors")
    write_index(folder, dict.fromkeys(VALUES, "model-00001-of-00001.safetensors"))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    raw = (folder / which).read_bytes()
    (folder / which).write_bytes(raw[:start] + added + raw[start + n_removed :])
    try:
        checkpoint = Checkpoint.open(folder)
    except CheckpointError as exc:
        error = str(exc)
    else:
        assert list(checkpoint.tensors) == list(VALUES)
        return
    assert "mutated" in error
    assert "\n" not in error


# --- numbers that are none


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("shape", "position"),
    [
        ((), ()),
        ((1,), (0,)),
        ((5,), (4,)),
        ((3, 4), (2, 1)),
        ((2, 3, 4), (1, 0, 3)),
        ((3, 2**20), (1, 7)),
        ((2**21 + 3,), (2**21 + 1,)),
        ((2**11, 2**10), (2**10 + 5, 9)),
    ],
)
def test_first_nonfinite(value: float, shape: tuple[int, ...], position: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.float32)
    assert first_nonfinite(array) is None
    array[position] = value
    assert first_nonfinite(array) == position
    assert first_nonfinite(array.T) == position[::-1]
    if shape:
        array[(-1,) * len(shape)] = np.nan
    assert first_nonfinite(array) == position


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_nothing_is_finite(shape: tuple[int, ...]) -> None:
    assert first_nonfinite(np.zeros(shape, np.float32)) is None


def test_looking_for_nonfinite_takes_little_memory() -> None:
    array = np.zeros((2**12, 2**12), np.float32)  # 64 MiB
    tracemalloc.start()
    try:
        first_nonfinite(array.T)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
