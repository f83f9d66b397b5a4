"""Shards that do not fit their index, links that lead elsewhere, and whatever else stands in a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from edgeai.errors import CheckpointError
from quantize.checkpoint import INDEX, Checkpoint
from tests.quantize.hf_folders import (
    CONFIG,
    SHARDS,
    VALUES,
    as_in_the_cache,
    refused,
    sharded_folder,
    single_folder,
    write_index,
)


@pytest.fixture
def single(tmp_path: Path) -> Path:
    return single_folder(tmp_path / "single")


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return sharded_folder(tmp_path / "sharded")


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
