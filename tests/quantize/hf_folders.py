"""Small Hugging Face folders for the tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgeai.errors import CheckpointError
from quantize.base import F32
from quantize.checkpoint import INDEX, Checkpoint

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


def single_folder(folder: Path) -> Path:
    """A folder with one file of weights."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(VALUES, folder / "model.safetensors")
    return folder


def sharded_folder(folder: Path) -> Path:
    """A folder with two shards and their index."""
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
